"""What is sent: entries of the sender's file system, and their content while it is read and hashed."""
from __future__ import annotations

import collections
import dataclasses
import os
import stat
from typing import Deque, List, Optional, Set, Tuple

import blake3

import wire

SMALL_BYTES = wire.GROUP_BYTES  # up to here: in memory, without a key, sent ahead
HASH_STEP_BYTES = 4 * wire.GROUP_BYTES  # what is hashed before the connection is looked after again


@dataclasses.dataclass
class Entry:
    """One line of the output."""

    name: bytes
    path: str
    kind: int
    outcome: Optional[str] = None
    size: int = 0
    mtime_ns: int = 0
    executable: bool = False
    sent: int = 0  # bytes of payload, over all connections
    carriers: int = 0  # connections that brought some of it


class Changed(Exception):
    """The file is not what was offered any more."""


class Body:
    """A file while it is sent, by one connection or several."""

    def __init__(self, entry: Entry):
        self.entry = entry
        self.file = None
        self.size = entry.size
        self.hasher = blake3.blake3()
        self.hashed = 0
        self.pool: Deque[List[int]] = collections.deque()  # [from, to)
        self.awaiting: Set[object] = set()  # lanes that have offered to join
        self.helped = False
        self.over = False
        self.broken: Optional[Tuple[str, Optional[wire.Refusal], str]] = None

    def open(self) -> None:
        if self.file is None:
            try:
                self.file = open(self.entry.path, "rb", buffering=0)
            except OSError as e:
                raise Changed(str(e)) from None
            self.check()

    def check(self) -> None:
        now = os.fstat(self.file.fileno())
        if (now.st_size, now.st_mtime_ns) != (self.size, self.entry.mtime_ns):
            raise Changed("the file changed while it was sent")

    def read(self, offset: int, length: int) -> bytes:
        self.open()
        got = bytearray()
        while len(got) < length:
            try:
                more = os.pread(self.file.fileno(), length - len(got), offset + len(got))
            except OSError as e:
                raise Changed(str(e)) from None
            if not more:
                raise Changed("the file is shorter than it was")
            got += more
        if offset <= self.hashed < offset + length:
            self.hasher.update(memoryview(got)[self.hashed - offset:])
            self.hashed = offset + length
        return bytes(got)

    def hash_on(self) -> bool:
        """A step towards the digest of the whole; whether there is more to do."""
        if self.hashed < self.size:
            self.read(self.hashed, min(HASH_STEP_BYTES, self.size - self.hashed))
        return self.hashed < self.size

    def digest(self) -> bytes:
        self.open()
        self.check()
        return self.hasher.digest()

    def close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None
        self.over = True


def look(entry: Entry) -> Optional[bytes]:
    """Finds out what the file is now; gives its content where it is small."""
    with open(entry.path, "rb", buffering=0) as f:
        now = os.fstat(f.fileno())
        if not stat.S_ISREG(now.st_mode):
            raise Changed("not a regular file any more")
        entry.size, entry.mtime_ns = now.st_size, now.st_mtime_ns
        entry.executable = bool(now.st_mode & 0o111)
        if entry.size > SMALL_BYTES:
            return None
        content = bytearray()
        while len(content) <= SMALL_BYTES:
            more = f.read(SMALL_BYTES + 1 - len(content))
            if not more:
                break
            content += more
        if len(content) != entry.size:
            raise Changed("the file changed while it was read")
        return bytes(content)
