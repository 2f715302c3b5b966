"""`malformed`: bytes that are no messages, and messages that name what there is not."""
from __future__ import annotations

import wire
from raw import HELLO, add, after_welcome, first
from wire import Offer, Resume, blob, frame, text, uint

GROUP = "malformed"
OFFER = Offer(b"rules/offer", size=3)
PLAIN = OFFER.encode()
BARE_HELLO = HELLO[1:]  # without the length of the frame


def begins(name: str, *said: bytes) -> None:
    add(GROUP, name, "goodbye malformed", lambda address: first(address, *said))


def goes_on(name: str, *said: bytes) -> None:
    add(GROUP, name, "goodbye malformed", lambda address: after_welcome(address, *said))


begins("another-preface", wire.PREFACE[:7] + b"\x0b", HELLO)
begins("preface-with-line-ends-translated", b"\x89SPT\n\x1a\n", HELLO)
begins("frame-of-0-bytes", wire.PREFACE, uint(0))
begins("frame-of-65537-bytes", wire.PREFACE, uint(wire.FRAME_BYTES_MAX + 1))
begins("frame-length-too-long", wire.PREFACE, bytes([len(BARE_HELLO) | 0x80, 0]), BARE_HELLO)
begins("first-message-keep-alive", wire.PREFACE, wire.keep_alive())
begins("first-message-offer", wire.PREFACE, wire.offer(0, OFFER))
begins("first-message-undeclared", wire.PREFACE, frame(uint(8)))
begins("lowest-version-above-highest", wire.PREFACE, wire.hello(2, 1, "x"))
begins("hello-with-a-byte-left-over", wire.PREFACE, frame(BARE_HELLO + b"\0"))
begins("hello-with-a-number-too-long", wire.PREFACE, frame(uint(0) + b"\x81\0" + uint(1) + text("x")))
begins("hello-with-a-number-of-33-bits", wire.PREFACE, frame(uint(0) + uint(1) + uint(1 << 32) + text("x")))
begins("hello-that-ends-early", wire.PREFACE, frame(BARE_HELLO[:-1]))
begins("hello-of-an-agent-not-utf8", wire.PREFACE, frame(uint(0) + uint(1) + uint(1) + blob(b"\xff")))

goes_on("undeclared-message", frame(uint(8)))
goes_on("byte-left-over", frame(uint(7) + b"\0"))
goes_on("case-too-long", frame(b"\x87\0"))
goes_on("number-too-long", frame(uint(4) + b"\x80\0" + uint(0) + uint(0)))
goes_on("number-of-65-bits", frame(uint(4) + uint(1 << 64) + uint(0) + uint(0)))
goes_on("number-of-11-bytes", frame(uint(4) + b"\x80" * 10 + b"\1" + uint(0) + uint(0)))
goes_on("message-that-ends-early", frame(uint(4) + uint(0)))
goes_on("entry-kind-2", wire.offer(0, Offer(b"x", kind=2, size=3)))
goes_on("resume-mode-3", wire.offer(0, Offer(b"x", size=3, resume=Resume(bytes(32), 0, 3))))
goes_on("refusal-code-17", wire.offer(0, OFFER), frame(uint(6) + uint(0) + uint(17) + b"\0"))
goes_on("digest-case-1", frame(uint(5) + uint(0) + uint(3) + uint(1) + blob(bytes(32))))
goes_on("bool-2", frame(uint(3) + uint(0) + PLAIN[:-2] + b"\2\0"))
goes_on("option-2", frame(uint(3) + uint(0) + PLAIN[:-1] + b"\2"))
for size in (0, 31, 33):
    goes_on(f"digest-of-{size}-bytes", wire.offer(0, Offer(b"x", size=3, digest=bytes(size))))
    goes_on(f"finish-with-a-digest-of-{size}-bytes", wire.offer(0, OFFER), wire.finish(0, 3, bytes(size)))
    goes_on(f"key-of-{size}-bytes", wire.offer(0, Offer(b"x", size=3, resume=Resume(bytes(size), 0, 0))))

goes_on("offer-1-first", wire.offer(1, OFFER))
goes_on("offer-0-twice", wire.offer(0, OFFER), wire.offer(0, OFFER))
goes_on("offer-2-after-0", wire.offer(0, OFFER), wire.offer(2, OFFER))
goes_on("data-never-offered", wire.data(0, 0, 1), b"x")
goes_on("finish-never-offered", wire.finish(7, 3, bytes(32)))
goes_on("cancel-never-offered", wire.cancel(0, "cancelled"))
