"""The bytes of the native dialect, version 1: values, messages, frames.

Written from `wire.wit` alone. Encoding is lenient (tests say wrong things on purpose); decoding is
strict: what the text calls `malformed` raises `Malformed`.
"""
from __future__ import annotations

import dataclasses
from typing import Callable, List, Optional, Tuple, TypeVar, Union

PREFACE = bytes.fromhex("895350540D0A1A0A")
FRAME_BYTES_MAX = 65_536
GROUP_BYTES = 1_048_576  # a chunk group
T = TypeVar("T")

CODES = (
    "malformed", "unsupported-version", "not-permitted", "name-invalid", "exists", "too-large",
    "quota-exceeded", "too-many", "offset-mismatch", "digest-mismatch", "locked", "cancelled",
    "timeout", "insufficient-space", "io", "invalid-state", "other",
)
FILE, DIRECTORY = 0, 1
TAKE_OVER, JOIN, RESTART = 0, 1, 2


class Malformed(Exception):
    """The other side said something that the grammar does not have."""


# ---- encoding -------------------------------------------------------------------------------------


def uint(n: int) -> bytes:
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def zigzag(n: int) -> bytes:
    return uint(n << 1 if n >= 0 else (-n << 1) - 1)


def blob(b: bytes) -> bytes:
    return uint(len(b)) + b


def text(s: Union[str, bytes]) -> bytes:
    return blob(s.encode() if isinstance(s, str) else s)


def option(value: Optional[T], encode: Callable[[T], bytes]) -> bytes:
    return b"\0" if value is None else b"\1" + encode(value)


def digest(value: bytes) -> bytes:
    return uint(0) + blob(value)


def refusal(code: str, detail: Optional[str] = None) -> bytes:
    return uint(CODES.index(code)) + option(detail, text)


@dataclasses.dataclass(frozen=True)
class Resume:
    key: bytes
    run: int
    mode: int

    def encode(self) -> bytes:
        return blob(self.key) + uint(self.run) + uint(self.mode)


@dataclasses.dataclass(frozen=True)
class Offer:
    name: Optional[bytes]  # as the file system has it: UTF-8 where the sender is lucky
    kind: int = FILE
    size: Optional[int] = None
    digest: Optional[bytes] = None
    modified_ns: Optional[int] = None
    executable: bool = False
    resume: Optional[Resume] = None

    def encode(self) -> bytes:
        return (option(self.name, text) + uint(self.kind) + option(self.size, uint)
                + option(self.digest, digest) + option(self.modified_ns, zigzag)
                + bytes([self.executable]) + option(self.resume, Resume.encode))


def frame(message: bytes) -> bytes:
    return uint(len(message)) + message


def hello(version_min: int, version_max: int, agent: str) -> bytes:
    return frame(uint(0) + uint(version_min) + uint(version_max) + text(agent))


def goodbye(code: str, detail: Optional[str] = None) -> bytes:
    return frame(uint(1) + refusal(code, detail))


def authenticate_bearer(token: str) -> bytes:
    return frame(uint(2) + uint(1) + text(token))


def authenticate_proof(name: str, proof: bytes) -> bytes:
    return frame(uint(2) + uint(0) + text(name) + blob(proof))


def offer(number: int, what: Offer) -> bytes:
    return frame(uint(3) + uint(number) + what.encode())


def data(number: int, offset: int, length: int) -> bytes:
    return frame(uint(4) + uint(number) + uint(offset) + uint(length))


def finish(number: int, size: int, value: bytes) -> bytes:
    return frame(uint(5) + uint(number) + uint(size) + digest(value))


def cancel(number: int, code: str, detail: Optional[str] = None) -> bytes:
    return frame(uint(6) + uint(number) + refusal(code, detail))


def keep_alive() -> bytes:
    return frame(uint(7))


# ---- what a receiver says -------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Refusal:
    code: str
    detail: Optional[str]


@dataclasses.dataclass(frozen=True)
class Welcome:
    version: int
    agent: str
    size_max: Optional[int]
    uploads_ahead_max: int
    bytes_ahead_max: int
    idle_timeout_ms: int
    challenge: bytes


@dataclasses.dataclass(frozen=True)
class Goodbye:
    refusal: Refusal


@dataclasses.dataclass(frozen=True)
class Authenticated:
    name: Optional[str]


@dataclasses.dataclass(frozen=True)
class Accepted:
    id: int
    missing: Tuple[Tuple[int, Optional[int]], ...]  # offset, length


@dataclasses.dataclass(frozen=True)
class Receipt:
    name: str
    size: int
    digest: bytes
    proof: Optional[bytes]


@dataclasses.dataclass(frozen=True)
class AlreadyStored:
    id: int
    receipt: Receipt


@dataclasses.dataclass(frozen=True)
class DigestFirst:
    id: int


@dataclasses.dataclass(frozen=True)
class Refused:
    id: int
    refusal: Refusal


@dataclasses.dataclass(frozen=True)
class Stored:
    id: int
    receipt: Receipt


@dataclasses.dataclass(frozen=True)
class Progress:
    id: int
    durable: int


@dataclasses.dataclass(frozen=True)
class KeepAlive:
    pass


class Reader:
    """Reads values from one message, and insists that nothing is left over."""

    def __init__(self, message: bytes):
        self.message = message
        self.at = 0

    def take(self, n: int) -> bytes:
        if n > len(self.message) - self.at:
            raise Malformed("the message ends within a value")
        self.at += n
        return self.message[self.at - n:self.at]

    def uint(self, bits: int) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if value >> bits:
                raise Malformed(f"a number that {bits} bits do not hold")
            if byte < 0x80:
                if byte == 0 and shift:
                    raise Malformed("a number longer than it needs to be")
                return value
            shift += 7
            if shift > bits + 6:
                raise Malformed(f"a number that {bits} bits do not hold")

    def u32(self) -> int:
        return self.uint(32)

    def u64(self) -> int:
        return self.uint(64)

    def blob(self) -> bytes:
        return self.take(self.u32())

    def text(self) -> str:
        try:
            return self.blob().decode("utf-8", "strict")
        except UnicodeDecodeError:
            raise Malformed("a string that is not UTF-8") from None

    def option(self, read: Callable[[], T]) -> Optional[T]:
        some = self.take(1)[0]
        if some > 1:
            raise Malformed("an option that is neither none nor some")
        return read() if some else None

    def list(self, read: Callable[[], T]) -> List[T]:
        return [read() for _ in range(self.u32())]

    def end(self) -> None:
        if self.at != len(self.message):
            raise Malformed("bytes left over at the end of a message")

    def digest(self) -> bytes:
        if self.u32() != 0:
            raise Malformed("a digest that is not declared")
        value = self.blob()
        if len(value) != 32:
            raise Malformed("a digest that does not have 32 bytes")
        return value

    def refusal(self) -> Refusal:
        code = self.u32()
        if code >= len(CODES):
            raise Malformed("a refusal code that is not declared")
        return Refusal(CODES[code], self.option(self.text))

    def extent(self) -> Tuple[int, Optional[int]]:
        return self.u64(), self.option(self.u64)

    def receipt(self) -> Receipt:
        return Receipt(self.text(), self.u64(), self.digest(), self.option(self.blob))


def decode(message: bytes):
    """One `receiver-message`."""
    r = Reader(message)
    case = r.u32()
    if case == 0:
        said = Welcome(r.u32(), r.text(), r.option(r.u64), r.u32(), r.u64(), r.u32(), r.blob())
        if said.uploads_ahead_max == 0 or said.idle_timeout_ms == 0:
            raise Malformed("a welcome with a limit of 0")
    elif case == 1:
        said = Goodbye(r.refusal())
    elif case == 2:
        said = Authenticated(r.option(r.text))
    elif case == 3:
        said = Accepted(r.u64(), tuple(r.list(r.extent)))
    elif case == 4:
        said = AlreadyStored(r.u64(), r.receipt())
    elif case == 5:
        said = DigestFirst(r.u64())
    elif case == 6:
        said = Refused(r.u64(), r.refusal())
    elif case == 7:
        said = Stored(r.u64(), r.receipt())
    elif case == 8:
        said = Progress(r.u64(), r.u64())
    elif case == 9:
        said = KeepAlive()
    else:
        raise Malformed("a message that is not declared")
    r.end()
    return said


class Frames:
    """Takes bytes as they come, gives messages: the preface first, then frames."""

    def __init__(self) -> None:
        self.bytes = bytearray()
        self.prefaced = False

    def feed(self, more: bytes) -> None:
        self.bytes += more

    def pop(self):
        """The next message, or `None` where more bytes have to come."""
        if not self.prefaced:
            if not PREFACE.startswith(bytes(self.bytes[:8])):
                raise Malformed("another preface: no receiver of this dialect")
            if len(self.bytes) < 8:
                return None
            del self.bytes[:8]
            self.prefaced = True
        length = shift = 0
        for at, byte in enumerate(self.bytes[:3]):
            length |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                if byte == 0 and at:
                    raise Malformed("a frame length longer than it needs to be")
                break
        else:
            if len(self.bytes) < 3:
                return None
            raise Malformed("a frame longer than 65,536 bytes")
        if not 1 <= length <= FRAME_BYTES_MAX:
            raise Malformed("a frame length that is not from 1 to 65,536")
        head = shift // 7
        if len(self.bytes) < head + length:
            return None
        message = bytes(self.bytes[head:head + length])
        del self.bytes[:head + length]
        return decode(message)

    @property
    def partial(self) -> bool:
        return bool(self.bytes)
