"""The sender's side of one connection: what is offered, sent and answered."""
from __future__ import annotations

import collections
import dataclasses
from typing import TYPE_CHECKING, Deque, Dict, List, Optional, Set

import blake3

import wire
from connection import CHUNK_BYTES, Connection, End
from files import Body, Changed, Entry, look

if TYPE_CHECKING:
    from job import Job

UNIT_BYTES = 4 * wire.GROUP_BYTES  # what a connection takes of a file at once, where several carry it
WINDOW = 256  # most uploads that are open at a time, whatever the receiver grants
EMPTY = blake3.blake3(b"").digest()

OFFERED, HASHING, ACCEPTED, FINISHED = "offered", "hashing", "accepted", "finished"


class Upload:
    def __init__(self, number: int, entry: Entry, offer: wire.Offer, body: Body, fresh: bool):
        self.number, self.entry, self.offer, self.body, self.fresh = number, entry, offer, body, fresh
        self.state = OFFERED
        self.ahead = 0  # bytes sent ahead of the answer
        self.sent_ahead: Optional[bytes] = None  # the digest of all that was
        self.range: Optional[List[int]] = None
        self.begun = False
        self.sent = 0


class Lane:
    """The sender's side of one connection."""

    def __init__(self, job: "Job", connection: Connection):
        self.job, self.connection = job, connection
        connection.lane = self
        self.next = 0
        self.open: Dict[int, Upload] = {}
        self.given_up: Set[int] = set()
        self.again: Deque[Upload] = collections.deque()  # to be offered once more, with the digest
        self.hashing: Deque[Upload] = collections.deque()
        self.queue: Deque[Upload] = collections.deque()  # accepted

    # ---- what there is to offer (a helper has its own)

    def more(self) -> bool:
        return bool(self.job.entries)

    def offer_next(self) -> bool:
        """Offers the next entry, or settles it without; `False`: not now."""
        entry = self.job.entries[0]
        limits = self.connection.limits
        content = None
        if entry.kind == wire.FILE:
            try:
                content = look(entry)
            except (OSError, Changed) as e:
                self.job.entries.popleft()
                self.job.tell(entry, "unreadable", None, str(e))
                return True
            if limits.size_max is not None and entry.size > limits.size_max:
                self.job.entries.popleft()
                self.job.tell(entry, "refused", "too-large", "over the limit that the receiver told")
                return True
        self.job.entries.popleft()
        resume, fresh = self.job.resume(entry)
        offer = wire.Offer(
            name=entry.name, kind=entry.kind, resume=resume,
            size=None if entry.kind == wire.DIRECTORY else entry.size,
            digest=blake3.blake3(content).digest() if content is not None and not self.job.no_digest else None,
            modified_ns=entry.mtime_ns if -1 << 63 <= entry.mtime_ns < 1 << 63 else None,
            executable=entry.executable)
        said = wire.offer(self.next, offer)
        if len(said) > wire.FRAME_BYTES_MAX:
            self.job.tell(entry, "refused", "name-invalid", "a name that no message holds")
            return True
        upload = self.put(entry, offer, Body(entry), fresh, said)
        if content is not None:
            ahead = sum(u.ahead for u in self.open.values() if u.state == OFFERED)
            if ahead + len(content) <= limits.bytes_ahead_max:
                upload.ahead = len(content)
                self.count(upload, len(content))
                upload.sent_ahead = blake3.blake3(content).digest()
                if content:
                    self.connection.send(wire.data(upload.number, 0, len(content)), content)
                self.connection.send(wire.finish(upload.number, len(content), upload.sent_ahead))
        return True

    def put(self, entry: Entry, offer: wire.Offer, body: Body, fresh: bool, said: bytes) -> Upload:
        upload = self.open[self.next] = Upload(self.next, entry, offer, body, fresh)
        self.next += 1
        self.connection.send(said)
        return upload

    # ---- sending

    def ready(self) -> None:
        pass

    def waits(self) -> bool:
        return bool(self.open)

    def eager(self) -> bool:
        return bool(self.again or self.more() and len(self.open) < self.window()
                    or any(self.can_go_on(u) for u in self.queue))

    def window(self) -> int:
        return min(self.connection.limits.uploads_ahead_max, WINDOW)

    def fill(self) -> None:
        while self.connection.room() and self.step():
            pass
        if not self.open and not self.more():
            self.connection.shut()

    def step(self) -> bool:
        if self.again:
            upload = self.again.popleft()
            self.connection.send(wire.offer(upload.number, upload.offer))
            return True
        if self.more() and len(self.open) < self.window():
            return self.offer_next()
        for upload in self.queue:
            if self.can_go_on(upload):
                try:
                    self.go_on(upload)
                except Changed as e:
                    self.give_up(upload, str(e))
                return True
        return False

    def can_go_on(self, upload: Upload) -> bool:
        body = upload.body
        if not upload.begun and not self.job.may_begin(upload):
            return False
        if body.awaiting or body.broken:
            return False  # all who carry it begin together, so that each has a part
        return bool(upload.range or body.pool or not upload.begun or body.hashed == body.size)

    def go_on(self, upload: Upload) -> None:
        """One `data`, or the `finish`."""
        body = upload.body
        if not upload.begun:
            upload.begun = True
            body.open()
            self.job.begin(upload)
            if body.awaiting:
                return
        if upload.range is None and body.pool:
            upload.range = body.pool.popleft()
        if upload.range is not None:
            start, end = upload.range
            length = min(CHUNK_BYTES, end - start)
            payload = body.read(start, length)
            self.connection.send(wire.data(upload.number, start, length), payload)
            self.count(upload, length)
            upload.range = [start + length, end] if start + length < end else None
        elif body.hashed == body.size and not body.awaiting:
            digest = body.digest()
            if upload.offer.digest not in (None, digest):
                raise Changed("the file changed after its digest was told")
            self.connection.send(wire.finish(upload.number, body.size, digest))
            upload.state = FINISHED
            self.queue.remove(upload)

    @staticmethod
    def count(upload: Upload, length: int) -> None:
        upload.entry.carriers += upload.sent == 0 and length > 0
        upload.entry.sent += length
        upload.sent += length

    def work(self) -> bool:
        """A step of computing; whether there is more."""
        if self.connection.phase != "ready":
            return False
        if self.hashing:
            upload = self.hashing[0]
            try:
                if upload.body.hash_on():
                    return True
                upload.offer = dataclasses.replace(upload.offer, digest=upload.body.digest())
            except Changed as e:
                self.give_up(upload, str(e))
                return True
            self.hashing.popleft()
            upload.state = OFFERED
            self.again.append(upload)
            return True
        for upload in self.queue:
            body = upload.body
            if upload.begun and upload.range is None and not body.pool and body.hashed < body.size:
                try:
                    body.hash_on()
                except Changed as e:
                    self.give_up(upload, str(e))
                return True
        return False

    def give_up(self, upload: Upload, why: str) -> None:
        """The file vanished or changed."""
        self.connection.send(wire.cancel(upload.number, "cancelled", "the file vanished or changed"))
        self.given_up.add(upload.number)
        self.drop(upload)
        self.job.forget(upload)
        self.job.tell(upload.entry, "changed", "cancelled", why)

    def drop(self, upload: Upload) -> None:
        del self.open[upload.number]
        for pending in (self.again, self.hashing, self.queue):
            if upload in pending:
                pending.remove(upload)
        self.ended(upload)

    def ended(self, upload: Upload) -> None:
        upload.body.close()
        self.job.end(upload.body)

    # ---- hearing

    def message(self, said) -> None:
        upload = self.open.get(said.id)
        if upload is None:
            if said.id in self.given_up:
                return  # it was on its way when the `cancel` was
            return self.connection.violation("an answer to nothing that is open", "malformed")
        if isinstance(said, wire.Progress):
            legal = upload.offer.resume is not None and upload.state in (ACCEPTED, FINISHED)
            if not legal or upload.offer.size is not None and said.durable > upload.offer.size:
                self.connection.violation("progress of what makes none", "invalid-state")
            return
        legal = {
            wire.Accepted: upload.state == OFFERED and upload not in self.again,
            wire.AlreadyStored: upload.state == OFFERED and upload not in self.again,
            wire.DigestFirst: upload.state == OFFERED and upload.offer.digest is None
            and upload.offer.kind == wire.FILE,
            wire.Refused: True,
            wire.Stored: upload.state == FINISHED,
        }[type(said)]
        if not legal:
            return self.connection.violation(
                f"{type(said).__name__} for an upload that is {upload.state}", "invalid-state")
        if isinstance(said, wire.Accepted):
            self.accepted(upload, said)
        elif isinstance(said, wire.DigestFirst):
            upload.state = HASHING
            upload.ahead, upload.sent_ahead = 0, None
            self.hashing.append(upload)
        elif isinstance(said, wire.Refused):
            self.drop(upload)
            self.refused(upload, said.refusal)
        else:
            self.drop(upload)
            self.stored(upload, said)

    def accepted(self, upload: Upload, said: wire.Accepted) -> None:
        if upload.offer.kind == wire.DIRECTORY:
            return self.connection.violation("accepted for a directory", "invalid-state")
        try:
            ranges = extents(said.missing, upload.offer.size)
        except wire.Malformed as e:
            return self.connection.violation(str(e), "malformed")
        if upload.sent_ahead is not None:
            upload.state = FINISHED  # all of it, and `finish`, are on their way
            return
        upload.state = ACCEPTED
        self.queue.append(upload)
        self.plan(upload, ranges)

    def plan(self, upload: Upload, ranges: List[List[int]]) -> None:
        if upload.offer.resume is None:
            ranges = [[0, upload.offer.size]] if upload.offer.size else []
        for start, end in ranges:
            if self.job.connections == 1:
                upload.body.pool.append([start, end])
                continue
            while start < end:
                cut = min(end, (start // UNIT_BYTES + 1) * UNIT_BYTES)
                upload.body.pool.append([start, cut])
                start = cut

    def stored(self, upload: Upload, said) -> None:
        entry, receipt = upload.entry, said.receipt
        word = "stored" if isinstance(said, wire.Stored) else "already-stored"
        if entry.kind == wire.DIRECTORY:
            want = (0, EMPTY)
        else:
            digest = upload.offer.digest or upload.sent_ahead or upload.body.hasher.digest()
            want = (entry.size, digest)
        if (receipt.size, receipt.digest) != want:
            return self.job.tell(entry, "wrong-receipt", "digest-mismatch", "the receipt is of another content")
        self.job.forget(upload)
        self.job.tell(entry, word, None, None, receipt.name)

    def refused(self, upload: Upload, refusal: wire.Refusal) -> None:
        job, code = self.job, refusal.code
        if code == "invalid-state" and upload.offer.resume is not None and not upload.fresh:
            # The key is of no use any more: once more with a new one.
            job.forget(upload)
            job.entries.append(upload.entry)
            return
        if code == "cancelled" and upload.body.helped and job.retry:
            return  # another connection of ours was cut; the entry is tried again
        if code == "digest-mismatch":
            job.forget(upload)
        job.tell(upload.entry, "refused", code, refusal.detail)

    def closed(self, end: End) -> None:
        self.job.ended(end)
        for upload in list(self.open.values()):
            upload.body.close()
            self.job.end(upload.body)


def extents(missing, size: Optional[int]) -> List[List[int]]:
    """What `accepted` lists, as ranges; strict about what a sensible list is."""
    ranges: List[List[int]] = []
    at = 0
    for index, (offset, length) in enumerate(missing):
        if length is None:
            if index != len(missing) - 1:
                raise wire.Malformed("an extent after one without an end")
            end = size if size is not None else 1 << 64
        else:
            end = offset + length
        if offset < at or end < offset or end > (size if size is not None else 1 << 64):
            raise wire.Malformed("missing extents that are not in order, or beyond the size")
        if end > offset:
            ranges.append([offset, end])
        at = end
    return ranges
