"""Breaking the rules of the wire on purpose: a connection that says what it is told to, and the list of cases.

A case is a function of the server's address that says what came: `refused CODE`, `goodbye CODE`, `closed`
(without a word), `nothing` (the connection goes on), or what else it looks for.
"""
from __future__ import annotations

import secrets
import socket
from typing import Callable, List, NamedTuple

import blake3

import wire
from wire import Offer

HELLO = wire.hello(1, 1, "broken-rules/1")
PATIENCE_S = 600.0  # it only bounds how long a broken server is waited for


class Case(NamedTuple):
    group: str
    name: str
    expect: str
    run: Callable


CASES: List[Case] = []


def add(group: str, name: str, expect: str, run: Callable) -> None:
    CASES.append(Case(group, name, expect, run))


def case(group: str, expect: str):
    """A decorator: the case has the name of the function."""
    def keep(function):
        add(group, function.__name__.replace("_", "-"), expect, function)
        return function
    return keep


def b3(content: bytes) -> bytes:
    return blake3.blake3(content).digest()


class Raw:
    """A connection that says what it is told to."""

    def __init__(self, address, said: bytes = wire.PREFACE + HELLO):
        self.socket = socket.create_connection(address, timeout=PATIENCE_S)
        self.frames = wire.Frames()
        self.send(said)

    def send(self, *parts: bytes) -> None:
        try:
            self.socket.sendall(b"".join(parts))
        except OSError:
            pass  # what there is to hear says why

    def hear(self):
        """The next message that is not a keep-alive or progress; `None` at the end."""
        while True:
            said = self.frames.pop()
            if said is None:
                try:
                    more = self.socket.recv(65_536)
                except TimeoutError:
                    raise AssertionError(f"waited {PATIENCE_S:.0f} s for the receiver to say something") from None
                except OSError:
                    return None
                if not more:
                    return None
                self.frames.feed(more)
            elif not isinstance(said, (wire.KeepAlive, wire.Progress)):
                return said

    def expect(self, kind, number=None):
        said = self.hear()
        assert isinstance(said, kind) and (number is None or said.id == number), f"{kind.__name__} expected: {said}"
        return said

    def welcome(self) -> wire.Welcome:
        return self.expect(wire.Welcome)

    def verdict(self) -> str:
        """The first refusal or goodbye; of a goodbye also what follows, which nothing may."""
        while True:
            said = self.hear()
            if said is None:
                return "closed"
            if isinstance(said, wire.Goodbye):
                after = self.hear()
                return f"goodbye {said.refusal.code}" + (f" and then {after}" if after else "")
            if isinstance(said, wire.Refused):
                return f"refused {said.refusal.code}"

    def goes_on(self, number: int) -> str:
        """Sends a file under the number; what came beside its answers, or `nothing`."""
        self.send(*small_file(number, unique(), secrets.token_bytes(20)))
        seen = []
        while True:
            said = self.hear()
            if said is None or isinstance(said, wire.Goodbye):
                return " ".join(seen + [f"goodbye {said.refusal.code}" if said else "closed"])
            if said.id == number:
                if isinstance(said, wire.Stored):
                    return " ".join(seen) or "nothing"
            elif isinstance(said, wire.Refused):
                seen.append(f"refused {said.refusal.code}")
            elif isinstance(said, (wire.Stored, wire.AlreadyStored)):
                seen.append("stored" if isinstance(said, wire.Stored) else "already-stored")


def unique() -> bytes:
    return b"rules/" + secrets.token_hex(8).encode()


def content_of(number: int, content: bytes):
    """All of a file and its `finish`."""
    return wire.data(number, 0, len(content)), content, wire.finish(number, len(content), b3(content))


def small_file(number: int, name: bytes, content: bytes):
    """A file, all sent ahead."""
    return (wire.offer(number, Offer(name, size=len(content))), *content_of(number, content))


def stored_file(address, content: bytes) -> bytes:
    """Has a file stored; its name."""
    raw = Raw(address)
    raw.welcome()
    raw.send(*small_file(0, unique(), content))
    raw.expect(wire.Accepted, 0)
    receipt = raw.expect(wire.Stored, 0).receipt
    assert (receipt.size, receipt.digest) == (len(content), b3(content)), receipt
    return receipt.name.encode()


def first(address, *said: bytes) -> str:
    """What comes of a connection that begins so."""
    return Raw(address, b"".join(said)).verdict()


def after_welcome(address, *said: bytes) -> str:
    """What comes of a connection that goes on so."""
    raw = Raw(address)
    raw.welcome()
    raw.send(*said)
    return raw.verdict()
