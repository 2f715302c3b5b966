"""The state file: resume keys and the number of the run. It holds secrets, so only its owner reads it."""
from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from typing import Optional, Tuple

import wire


class State:
    """Without a path it lives as long as the process."""

    def __init__(self, path: Optional[str]):
        self.path = path
        self.memory = {"run": 0, "uploads": {}}

    @contextlib.contextmanager
    def locked(self):
        if self.path is None:
            yield self.memory
            return
        with open(self.path + ".lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            try:
                with open(self.path, encoding="utf-8") as f:
                    text = f.read()
                told = json.loads(text)
            except FileNotFoundError:
                text, told = "", {"run": 0, "uploads": {}}
            yield told
            new = json.dumps(told, indent=1)
            if new != text:
                self.write(new)

    def write(self, text: str) -> None:
        beside = f"{self.path}.{os.getpid()}"
        fd = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(fd, "w", encoding="utf-8") as f:
            f.write(text)
            f.flush()
            os.fsync(f.fileno())
        os.replace(beside, self.path)

    def new_run(self) -> int:
        """Higher than every run before. Keys that no later run can know need no number."""
        if self.path is None:
            return 0
        with self.locked() as told:
            told["run"] += 1
            return told["run"]

    @staticmethod
    def ident(path: str, name: bytes) -> str:
        return json.dumps([os.path.abspath(path), name.decode("utf-8", "backslashreplace")])

    def key(self, path: str, name: bytes, size: int, mtime_ns: int) -> Tuple[bytes, int, bool]:
        """The key, the mode, and whether the key is new."""
        with self.locked() as told:
            ident = self.ident(path, name)
            kept = told["uploads"].get(ident)
            if kept is not None and kept["size"] == size:
                mode = wire.TAKE_OVER if kept["mtime_ns"] == mtime_ns else wire.RESTART
                kept["mtime_ns"] = mtime_ns
                return bytes.fromhex(kept["key"]), mode, False
            key = secrets.token_bytes(32)
            told["uploads"][ident] = {"key": key.hex(), "size": size, "mtime_ns": mtime_ns}
            return key, wire.TAKE_OVER, True

    def forget(self, path: str, name: bytes, key: bytes) -> None:
        with self.locked() as told:
            ident = self.ident(path, name)
            if told["uploads"].get(ident, {}).get("key") == key.hex():
                del told["uploads"][ident]
