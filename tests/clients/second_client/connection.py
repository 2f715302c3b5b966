"""One connection: preface, `hello`, `authenticate`, keep-alives, silence, and the end. No thread, and no
wait but in `run`, so that a sender hears the receiver while it sends.
"""
from __future__ import annotations

import collections
import select
import socket
import time
from typing import Deque, List, Optional

import wire

AGENT = "second-client/1"
GRACE_S = 5.0  # how long the end may take when all is answered: nothing depends on it any more
CHUNK_BYTES = 262_144  # payload of one `data`: it is in memory before it is announced
BUFFERED_BYTES_MAX = 4 * CHUNK_BYTES  # what waits for the socket, at most about


class End:
    """How a connection ended: `done`, `goodbye` (with the refusal), `cut`, `violation`, `silence`, `left`."""

    def __init__(self, how: str, detail: str = "", refusal: Optional[wire.Refusal] = None):
        self.how, self.detail, self.refusal = how, detail, refusal


def address_of(text: str):
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


class Connection:
    """`lane` is who uses it: `ready()`, `message(said)`, `fill()`, `work() -> bool`, `waits() -> bool`, `closed(end)`."""

    def __init__(self, address, token: Optional[str], patience: float, stall: float):
        self.address, self.token, self.patience, self.stall = address, token, patience, stall
        self.lane = None
        self.socket: Optional[socket.socket] = None
        self.frames = wire.Frames()
        self.out: Deque[memoryview] = collections.deque()
        self.buffered = 0
        self.phase = "welcome"  # authenticated, ready, shut
        self.limits: Optional[wire.Welcome] = None
        self.end: Optional[End] = None
        self.shutting, self.shutting_since = False, 0.0
        self.deaf: Optional[str] = None  # sending failed: only what came already is read
        self.keep_alive_pending = False

    def start(self) -> None:
        self.socket = socket.create_connection(self.address, timeout=self.patience)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.heard = self.sent = self.moved = time.monotonic()
        self.send(wire.PREFACE + wire.hello(1, 1, AGENT))

    def fileno(self) -> int:
        return self.socket.fileno()

    # ---- sending

    def send(self, *parts: bytes) -> None:
        if self.deaf is not None:
            return
        for part in parts:
            if part:
                self.out.append(memoryview(part))
                self.buffered += len(part)

    def room(self) -> bool:
        return self.phase == "ready" and not self.shutting and self.deaf is None and self.buffered < BUFFERED_BYTES_MAX

    def shut(self) -> None:
        """All is answered: shut this side down, and wait for the receiver to close."""
        if not self.shutting:
            self.shutting, self.shutting_since = True, time.monotonic()

    def flush(self) -> None:
        while self.out and self.deaf is None:
            part = self.out[0]
            try:
                n = self.socket.send(part)
            except BlockingIOError:
                return
            except OSError as e:
                # A `goodbye` may be there to be read.
                self.deaf = str(e)
                self.out.clear()
                self.buffered = 0
                return
            self.sent = time.monotonic()
            if self.keep_alive_pending:
                self.keep_alive_pending = False
            else:
                self.moved = self.sent
            self.buffered -= n
            if n == len(part):
                self.out.popleft()
            else:
                self.out[0] = part[n:]
        if self.shutting and self.phase != "shut" and not self.out and self.deaf is None:
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            self.phase = "shut"

    # ---- hearing

    def read(self) -> None:
        try:
            more = self.socket.recv(262_144)
        except BlockingIOError:
            return
        except OSError as e:
            return self.close(End("cut", str(e)))
        if not more:
            if self.frames.partial:
                return self.close(End("cut", "the receiver closed within a message"))
            if self.phase == "shut":
                return self.close(End("done"))
            return self.close(End("cut", self.deaf or "the receiver closed without a word"))
        self.heard = time.monotonic()
        self.frames.feed(more)
        try:
            while self.end is None:
                said = self.frames.pop()
                if said is None:
                    return
                self.said(said)
        except wire.Malformed as e:
            self.violation(str(e), "malformed")

    def said(self, said) -> None:
        if isinstance(said, wire.Goodbye):
            return self.close(End("goodbye", said.refusal.detail or "", said.refusal))
        if self.phase == "welcome":
            if not isinstance(said, wire.Welcome):
                raise wire.Malformed("a first message that is neither welcome nor goodbye")
            if said.version != 1:
                return self.violation("a version that was not offered", "unsupported-version")
            self.limits = said
            self.moved = self.heard
            if self.token is None:
                self.phase = "ready"
                self.lane.ready()
            else:
                self.phase = "authenticated"
                self.send(wire.authenticate_bearer(self.token))
        elif isinstance(said, wire.Welcome):
            self.violation("a second welcome", "invalid-state")
        elif isinstance(said, wire.KeepAlive):
            pass
        elif isinstance(said, wire.Authenticated):
            if self.phase != "authenticated":
                return self.violation("authenticated, and nothing was asked", "invalid-state")
            self.moved = self.heard
            self.phase = "ready"
            self.lane.ready()
        elif self.phase == "authenticated":
            self.violation("an answer to an offer before there was one", "invalid-state")
        else:
            if not isinstance(said, wire.Progress):
                self.moved = self.heard
            self.lane.message(said)

    # ---- time and end

    def tick(self, now: float) -> float:
        """Does what is due; returns the seconds until something is."""
        due = []
        if self.shutting:
            # What is left may be the rest of a payload that nobody wants any more.
            if now >= self.shutting_since + GRACE_S:
                self.close(End("done"))
            due.append((self.shutting_since + GRACE_S, ""))
        elif self.lane.waits() or self.phase != "ready":
            due.append((self.heard + self.patience, "nothing was heard"))
            due.append((self.moved + self.stall, "no answer came, and nothing could be sent"))
        for when, what in due:
            if what and now >= when:
                self.close(End("silence", what))
        if self.end is not None:
            return 0.0
        if self.limits is not None and self.phase in ("ready", "authenticated") and not self.shutting:
            third = self.limits.idle_timeout_ms / 3000
            if not self.out and now >= self.sent + third:
                self.keep_alive_pending = True
                self.send(wire.keep_alive())
                self.flush()
            due.append((self.sent + third, ""))
        return max(0.0, min([when for when, _ in due], default=now + self.patience) - now)

    def violation(self, detail: str, code: str) -> None:
        """The receiver broke the rules: say so, as far as the socket takes it, and close."""
        self.send(wire.goodbye(code, detail))
        self.flush()
        self.close(End("violation", detail, wire.Refusal(code, detail)))

    def leave(self) -> None:
        self.close(End("left"))

    def close(self, end: End) -> None:
        if self.end is None:
            self.end = end
            self.socket.close()
            self.lane.closed(end)


def run(connections: List[Connection]) -> None:
    """Until all of them have ended. A lane may add to the list."""
    while True:
        connections[:] = [c for c in connections if c.end is None]
        if not connections:
            return
        busy = False
        for c in list(connections):
            if c.end is None and c.phase == "ready":
                c.lane.fill()
            if c.end is None:
                c.flush()
            if c.end is None:
                busy = c.lane.work() or busy
        timeout = 0.0 if busy else 60.0
        for c in list(connections):
            if c.end is None:
                timeout = min(timeout, c.tick(time.monotonic()))
        live = [c for c in connections if c.end is None]
        if not live:
            continue
        if any(c.room() and c.lane.eager() for c in live):
            timeout = 0.0
        readable, _, _ = select.select(live, [c for c in live if c.out], [], timeout)
        for c in readable:
            if c.end is None:
                c.read()
