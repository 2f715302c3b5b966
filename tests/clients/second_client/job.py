"""One attempt to send what is not answered yet, over one connection, and over more for a large file."""
from __future__ import annotations

import collections
import dataclasses
from typing import Callable, Deque, List, Optional, Tuple

import wire
from connection import Connection, End, run
from files import SMALL_BYTES, Body, Entry
from lane import ACCEPTED, FINISHED, OFFERED, Lane, Upload
from state import State


class Helper(Lane):
    """Another connection for one file: it joins, takes of the pool, and goes."""

    def __init__(self, job: "Job", connection: Connection, first: Upload):
        super().__init__(job, connection)
        self.first, self.body, self.offered = first, first.body, False
        self.upload: Optional[Upload] = None

    def more(self) -> bool:
        return not self.offered and not self.body.over

    def offer_next(self) -> bool:
        self.offered = True
        was = self.first.offer
        offer = dataclasses.replace(was, resume=dataclasses.replace(was.resume, mode=wire.JOIN))
        self.upload = self.put(self.first.entry, offer, self.body, True, wire.offer(self.next, offer))
        self.upload.begun = True
        return True

    def waits(self) -> bool:
        if self.body.over and self.upload in self.open.values() and self.upload.state != FINISHED:
            self.connection.leave()
        return super().waits()

    def plan(self, upload: Upload, ranges) -> None:
        self.body.awaiting.discard(self)

    def work(self) -> bool:
        return bool(self.hashing) and super().work()

    def give_up(self, upload: Upload, why: str) -> None:
        # The first connection says it: it will see the same.
        self.body.broken = ("changed", wire.Refusal("cancelled", why), why)
        self.connection.leave()

    def ended(self, upload: Upload) -> None:
        self.body.awaiting.discard(self)

    def stored(self, upload: Upload, said) -> None:
        pass

    def refused(self, upload: Upload, refusal: wire.Refusal) -> None:
        if upload.state != OFFERED:
            self.job.break_off(self.body, ("refused", refusal, refusal.detail or ""))

    def closed(self, end: End) -> None:
        self.body.awaiting.discard(self)
        upload = self.upload
        if upload is not None and upload.number in self.open and upload.state in (ACCEPTED, FINISHED):
            self.job.break_off(self.body, (end.how, end.refusal, end.detail))


class Job:
    """One attempt to send what is not answered yet."""

    def __init__(self, entries: List[Entry], state: State, run: int, connections: int, no_digest: bool, retry: bool,
                 connect: Callable[[], Connection], say: Callable[..., None]):
        self.entries: Deque[Entry] = collections.deque(entries)
        self.state, self.run_number, self.connections, self.no_digest = state, run, connections, no_digest
        self.retry, self.connect, self.say = retry, connect, say
        self.all: List[Connection] = []
        self.active: Optional[Body] = None  # what several connections carry now
        self.end_of_first: Optional[End] = None

    def resume(self, entry: Entry) -> Tuple[Optional[wire.Resume], bool]:
        if entry.kind != wire.FILE or entry.size <= SMALL_BYTES:
            return None, True
        key, mode, fresh = self.state.key(entry.path, entry.name, entry.size, entry.mtime_ns)
        return wire.Resume(key, self.run_number, mode), fresh

    def forget(self, upload: Upload) -> None:
        if upload.offer.resume is not None:
            self.state.forget(upload.entry.path, upload.entry.name, upload.offer.resume.key)

    def tell(self, entry: Entry, outcome: str, code: Optional[str], detail: Optional[str] = None,
             stored_as: Optional[str] = None) -> None:
        entry.outcome = outcome
        self.say(entry, outcome, code, detail, stored_as)

    # ---- several connections

    def may_begin(self, upload: Upload) -> bool:
        return self.active is None or self.active is upload.body or not self.shares(upload)

    def shares(self, upload: Upload) -> bool:
        return self.connections > 1 and upload.offer.resume is not None and len(upload.body.pool) > 1

    def begin(self, upload: Upload) -> None:
        if self.active is not None or not self.shares(upload):
            return
        self.active = upload.body
        upload.body.helped = True
        for _ in range(self.connections - 1):
            try:
                connection = self.connect()
                helper = Helper(self, connection, upload)
                connection.start()
            except OSError:
                continue
            upload.body.awaiting.add(helper)
            self.all.append(connection)

    def end(self, body: Body) -> None:
        if self.active is body:
            self.active = None

    def break_off(self, body: Body, why: Tuple[str, Optional[wire.Refusal], str]) -> None:
        """A connection that carried a part is gone: this attempt has to be left, so that the upload is kept."""
        if body.over or body.broken:
            return
        body.broken = why
        first = self.all_first
        if any(u.body is body and u.state == FINISHED for u in first.lane.open.values()):
            return  # its own answer comes
        how, refusal, detail = why
        if how == "refused" and refusal.code != "cancelled":
            body.entry.outcome = "refused"
            self.say(body.entry, "refused", refusal.code, detail, None)
        first.close(End("left", detail) if how == "refused" else End("cut", detail))

    def ended(self, end: End) -> None:
        self.end_of_first = end

    def send(self) -> End:
        self.all_first = self.connect()
        Lane(self, self.all_first)
        try:
            self.all_first.start()
        except OSError as e:
            return End("unreachable", str(e))
        self.all.append(self.all_first)
        run(self.all)
        return self.end_of_first
