#!/usr/bin/env python3
"""A second client of the native dialect, written from `wire.wit` alone.

    second_client.py HOST:PORT PATH... [--state FILE] [--run N] [--connections N] [--token TOKEN]

It prints one JSON line for each entry: its name, its outcome and, where something was refused, the code.
Exit status: 0, where all is stored; 1, where not; 2, where it was called wrongly.
"""
from __future__ import annotations

import argparse
import json
import os
import stat
import sys
from typing import List, Optional

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import wire  # noqa: E402
from connection import Connection, address_of  # noqa: E402
from files import Entry  # noqa: E402
from job import Job  # noqa: E402
from state import State  # noqa: E402

GOOD = ("stored", "already-stored")


def shown(name: bytes) -> str:
    return name.decode("utf-8", "backslashreplace")


def printable(text: Optional[str]) -> Optional[str]:
    """It comes from the other side."""
    if text is None:
        return None
    return "".join(c if c.isprintable() else "\ufffd" for c in text)[:300]


def say(entry: Entry, outcome: str, code: Optional[str], detail: Optional[str], stored_as: Optional[str]) -> None:
    line = {"name": shown(entry.name), "outcome": outcome, "code": code}
    if entry.sent:
        line["sent"], line["carriers"] = entry.sent, entry.carriers
    if detail:
        line["detail"] = printable(detail)
    if stored_as is not None and stored_as != line["name"]:
        line["stored_as"] = stored_as
    print(json.dumps(line), flush=True)


def gather(path: str, name: bytes, entries: List[Entry], inner: bool = False) -> bool:
    """Adds what is at `path`; whether anything of it is offered. Links are followed that were named, and no others."""
    try:
        kind = os.stat(path, follow_symlinks=not inner).st_mode
        if stat.S_ISREG(kind):
            entries.append(Entry(name, path, wire.FILE))
            return True
        if not stat.S_ISDIR(kind):
            say(Entry(name, path, wire.FILE), "skipped", None, "neither a file nor a directory", None)
            return False
        inside = sorted(os.listdir(path))
    except OSError as e:
        entry = Entry(name, path, wire.FILE)
        say(entry, "unreadable", None, str(e), None)
        UNREADABLE.append(entry)
        return True
    offered = False
    for part in inside:
        offered |= gather(os.path.join(path, part), name + b"/" * bool(name) + os.fsencode(part), entries, True)
    if not offered and name:
        entries.append(Entry(name, path, wire.DIRECTORY))
    return offered or bool(name)


UNREADABLE: List[Entry] = []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("server", help="HOST:PORT")
    parser.add_argument("paths", nargs="+", metavar="PATH")
    parser.add_argument("--state", metavar="FILE", help="where resume keys are kept, for a later run")
    parser.add_argument("--run", type=int, help="the number of this run (default: one more than the state file knows)")
    parser.add_argument("--connections", type=int, default=1, metavar="N", help="for one large file")
    parser.add_argument("--token", help="authenticate by it")
    parser.add_argument("--no-digest", action="store_true", help="offer without digests")
    parser.add_argument("--retries", type=int, default=0, metavar="N", help="after a cut")
    parser.add_argument("--patience", type=float, default=60.0, metavar="S", help="how long nothing need be heard")
    parser.add_argument("--stall", type=float, default=600.0, metavar="S", help="how long nothing need move")
    args = parser.parse_args()
    try:
        address = address_of(args.server)
    except ValueError:
        parser.error("HOST:PORT")
    if args.run is not None and not 0 <= args.run < 1 << 64:
        parser.error("--run: 64 bits")

    entries: List[Entry] = []
    for path in args.paths:
        found: List[Entry] = []
        gather(path, os.fsencode(os.path.basename(os.path.abspath(path))), found)
        entries += found
    state = State(args.state)
    run = args.run if args.run is not None else state.new_run()

    def connect() -> Connection:
        return Connection(address, args.token, args.patience, args.stall)

    pending = entries
    retries = args.retries
    while pending:
        job = Job(pending, state, run, args.connections, args.no_digest, retries > 0, connect, say)
        end = job.send()
        before, pending = len(pending), [e for e in pending if e.outcome is None]
        if not pending:
            break
        if end.how == "left" and len(pending) < before:
            continue  # one entry has ended so; the others go on
        if end.how in ("cut", "left", "done", "silence") and retries > 0:
            retries -= 1
            continue
        for entry in pending:
            entry.outcome = end.how
            say(entry, end.how, end.refusal.code if end.refusal else None, end.detail, None)
        break
    return 0 if not UNREADABLE and all(e.outcome in GOOD for e in entries) else 1


if __name__ == "__main__":
    sys.exit(main())
