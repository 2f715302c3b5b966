"""A receiver for a protocol of its own: `PUT name size`, a line end, and that many bytes. The answer is
`stored NAME`, or `refused: REASON`."""

import re

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.receiver import Ending_Close
from wit_world.imports import inbox
from wit_world.imports.inbox import Answer_Accepted, Opened_Answered, Opened_Opening, Upload
from wit_world.imports.types import EntryKind, Extent, Lifetime_Connection, Offer, Refusal, RefusalCode

# Longest first line. Names have 2,041 bytes at most.
LINE_BYTES_MAX = 4_096

# Most bytes of one splice: enough that the call does not count.
STEP_BYTES = 1 << 20


class Receiver(exports.Receiver):
    def serve(self, peer, input, output):
        try:
            receipt = receive(input)
        except Refused as refused:
            refusal = refused.refusal
            answer(output, f"refused: {refusal.detail or 'sorry'}\n")
            raise Err(refusal)
        answer(output, f"stored {receipt.name}\n")
        return Ending_Close()


class Refused(Exception):
    def __init__(self, refusal):
        self.refusal = refusal


def receive(input):
    name, size = read_line(input)
    # The size stays out of the offer: for a size that is here already, the inbox would ask for a digest,
    # and this protocol has none. `commit` checks it.
    offer = Offer(
        name=name,
        kind=EntryKind.FILE,
        size=None,
        modified=None,
        executable=False,
        lifetime=Lifetime_Connection(),
        digests=[],
        want=[],
        metadata=[],
    )
    match opened(inbox.open(offer)):
        case Answer_Accepted(upload):
            pass
        case _:
            raise malformed("the inbox asks for a digest")
    try:
        body = upload.body(Extent(offset=0, length=None), None)
    except Err as err:
        raise Refused(err.value)
    sink = body.sink()
    left = size
    while left > 0:
        # The host moves the bytes into the file. They never come here.
        try:
            left -= sink.blocking_splice(input, min(left, STEP_BYTES))
        except Err:
            raise malformed("the connection ended within the file")
    return taken(Upload.commit(upload, size, []))


def opened(opened):
    """The answer to an offer, which most get at once."""
    match opened:
        case Opened_Answered(answer):
            return value(answer)
        case Opened_Opening(opening):
            return taken(opening)


def taken(coming):
    """What comes, when it is there."""
    while (outcome := coming.take()) is None:
        coming.subscribe().block()
    return value(outcome)


def value(outcome):
    if isinstance(outcome, Err):
        raise Refused(outcome.value)
    return outcome.value


def read_line(input):
    """The name and the size. It reads byte by byte: what follows the line is payload, and stays in the
    connection for the splice."""
    line = b""
    try:
        while not line.endswith(b"\n") and len(line) < LINE_BYTES_MAX:
            line += input.blocking_read(1)
        parts = re.fullmatch(r"PUT (.*) ([0-9]{1,19})\n", line.decode())
    except (Err, UnicodeDecodeError):
        parts = None
    if parts is None:
        raise malformed("expected is PUT name size")
    return parts[1], int(parts[2])


def answer(output, text):
    try:
        output.blocking_write_and_flush(text.encode())
    except Err:
        pass  # A client that is gone does not want the answer.


def malformed(detail):
    return Refused(Refusal(RefusalCode.MALFORMED, False, detail))
