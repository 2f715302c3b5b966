"""What costs one upload, and not the connection: names, places, sizes, digests, keys."""
from __future__ import annotations

import secrets

import wire
from raw import Raw, add, b3, case, content_of, unique
from wire import Offer, Resume

MIB = wire.GROUP_BYTES
BIG = bytes(3 * MIB)
ABC = content_of(0, b"abc")

BAD_NAMES = {
    "empty": b"", "absolute": b"/etc/x", "empty-part": b"a//b", "slash-at-the-end": b"a/", "dot": b".",
    "dots": b"../x", "three-dots": b"a/.../b", "part-of-241-bytes": b"x" * 241,
    "2045-bytes": b"/".join([b"y" * 75] * 27)[:2_042], "65-parts": b"/".join([b"d"] * 65), "reserved": b"a/.sandport",
    "reserved-in-capitals": b".SandPort/x", "reserved-in-a-wide-form": ".\uff53andport".encode(),
    "control": b"a\x07b", "line-end": b"a\nb", "nul": b"a\0b", "c1": "a\u0085b".encode(),
    "line-separator": "a\u2028b".encode(), "paragraph-separator": "a\u2029b".encode(),
    "order-of-text": "a\u202egpj.exe".encode(), "zero-width-space": "a\u200bb".encode(),
    "joiner-between-latin-letters": "a\u200db".encode(), "annotation": "a\ufff9b".encode(),
    "soft-hyphen": "a\u00adb".encode(), "not-utf8": b"caf\xe9", "surrogate": b"a\xed\xa0\x80b",
    "overlong-utf8": b"a\xc0\xafb", "selector-after-a-letter": "a\ufe0f".encode(), "tag": "a\U000e0061".encode(),
}
GOOD_NAMES = {
    "2041-bytes": b"/".join([b"z" * 240] * 8 + [b"z" * 113]), "part-of-240-bytes": b"x" * 240,
    "64-parts": b"/".join([b"e"] * 63 + [b"f"]), "dots-and-more": b"..a", "reserved-and-more": b".sandports",
    "joined-emoji": "\U0001f468\u200d\U0001f469".encode(), "keycap": "1\ufe0f\u20e3".encode(),
    "persian": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645".encode(),
    "virama": "\u0915\u094d\u200d\u0937".encode(),
    "flag-of-scotland": "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f".encode(),
}


def upload(address, offer: Offer, *said: bytes) -> str:
    """Upload 0 and what is said of it; then the connection has to go on."""
    raw = Raw(address)
    raw.welcome()
    raw.send(wire.offer(0, offer), *said)
    return raw.goes_on(1)


for key, name in BAD_NAMES.items():
    add("name-invalid", f"name-{key}", "refused name-invalid",
        lambda address, name=name: upload(address, Offer(name, size=3), *ABC))
for key in ("empty", "dots", "not-utf8", "reserved"):
    add("name-invalid", f"directory-{key}", "refused name-invalid",
        lambda address, name=BAD_NAMES[key]: upload(address, Offer(name, kind=wire.DIRECTORY)))
for key, name in GOOD_NAMES.items():
    add("name-invalid", f"good-name-{key}", "stored",
        lambda address, name=name: upload(address, Offer(name, size=3), *ABC))


def plain(expect: str, name: str, *said: bytes, **offer) -> None:
    offer = {"size": 3, **offer}
    add(expect.split()[-1], name, expect, lambda address: upload(address, Offer(unique(), **offer), *said))


def keyed(expect: str, name: str, *said: bytes) -> None:
    """An upload that can be resumed, of three chunk groups."""
    add(expect.split()[-1], name, expect, lambda address: upload(
        address, Offer(unique(), size=len(BIG), resume=Resume(secrets.token_bytes(32), 0, wire.TAKE_OVER)), *said))


def group(number: int, length: int = MIB):
    return wire.data(0, number * MIB, length), bytes(length)


OFFSET, DIGEST = "refused offset-mismatch", "refused digest-mismatch"
plain(OFFSET, "data-twice", *ABC[:2], *ABC)
plain(OFFSET, "data-that-overlaps", wire.data(0, 0, 2), b"ab", wire.data(0, 1, 2), b"bc", ABC[2])
plain(OFFSET, "data-that-leaves-a-gap", wire.data(0, 1, 2), b"bc")
plain(OFFSET, "data-beyond-the-size", wire.data(0, 0, 4), b"abcd", ABC[2])
plain(OFFSET, "data-at-the-end", *ABC[:2], wire.data(0, 3, 1), b"d", ABC[2])
plain(OFFSET, "data-far-beyond", wire.data(0, 1 << 63, 1), b"a")
plain(OFFSET, "data-past-64-bits", wire.data(0, (1 << 64) - 1, 2), b"bc")
keyed(OFFSET, "keyed-data-twice", *group(0), *group(0))
keyed(OFFSET, "keyed-data-beyond-the-size", *group(2, MIB + 1))
keyed(OFFSET, "keyed-data-not-at-a-group", wire.data(0, 5, 3), b"abc")
plain(DIGEST, "finish-of-less-than-offered", wire.data(0, 0, 2), b"ab", wire.finish(0, 3, b3(b"ab")))
plain(DIGEST, "finish-that-says-less-than-offered", wire.data(0, 0, 2), b"ab", wire.finish(0, 2, b3(b"ab")))
plain(DIGEST, "finish-that-says-more-than-offered", *ABC[:2], wire.finish(0, 4, b3(b"abc")))
plain(DIGEST, "finish-that-says-more-than-came", *ABC[:2], wire.finish(0, 4, b3(b"abc")), size=None)
plain(DIGEST, "finish-with-another-digest", *ABC[:2], wire.finish(0, 3, bytes(32)))
plain(DIGEST, "offer-with-another-digest", *ABC, digest=bytes(32))
keyed(DIGEST, "keyed-finish-with-another-digest", wire.data(0, 0, len(BIG)), BIG, wire.finish(0, len(BIG), bytes(32)))
keyed(DIGEST, "keyed-finish-of-less-than-offered", *group(0), wire.finish(0, len(BIG), b3(BIG)))
plain("stored", "data-of-0-bytes", wire.data(0, 0, 0), *ABC[:2], wire.data(0, 3, 0), ABC[2])
plain("stored", "empty-file", wire.finish(0, 0, b3(b"")), size=0)
plain("stored", "no-size", *ABC, size=None)
plain("nothing", "cancel", wire.data(0, 0, 2), b"ab", wire.cancel(0, "cancelled", "gone"))
keyed("stored", "keyed-data-backwards", *group(2), *group(1), *group(0), wire.finish(0, len(BIG), b3(BIG)))


# ---- keys -----------------------------------------------------------------------------------------


def holder(address, name: bytes, key: bytes, run: int = 0, mode: int = wire.TAKE_OVER, size: int = len(BIG)) -> Raw:
    raw = Raw(address)
    raw.welcome()
    raw.send(wire.offer(0, Offer(name, size=size, resume=Resume(key, run, mode))))
    return raw


def accepted(*args, **kwargs) -> Raw:
    raw = holder(*args, **kwargs)
    raw.expect(wire.Accepted, 0)
    return raw


@case("locked", "refused locked")
def a_later_run_takes_over(address):
    name, key = unique(), secrets.token_bytes(32)
    one = accepted(address, name, key, run=1)
    accepted(address, name, key, run=2, mode=wire.JOIN)
    one.send(*group(0))
    return one.verdict()


@case("locked", "refused locked")
def the_same_run_takes_over(address):
    name, key = unique(), secrets.token_bytes(32)
    one = accepted(address, name, key)
    accepted(address, name, key)
    one.send(*group(0))
    return one.verdict()


@case("locked", "refused locked")
def an_earlier_run_comes_late(address):
    name, key = unique(), secrets.token_bytes(32)
    one = accepted(address, name, key, run=2)
    verdict = holder(address, name, key, run=1, mode=wire.JOIN).verdict()
    return verdict if one.goes_on(1) == "nothing" else "the later run suffers"


@case("invalid-state", "refused invalid-state")
def a_key_with_another_name(address):
    key = secrets.token_bytes(32)
    held = accepted(address, unique(), key)
    verdict = holder(address, unique(), key).verdict()
    return verdict if held.goes_on(1) == "nothing" else "the holder suffers"


@case("invalid-state", "refused invalid-state")
def a_key_with_another_size(address):
    name, key = unique(), secrets.token_bytes(32)
    held = accepted(address, name, key)
    verdict = holder(address, name, key, size=len(BIG) + 1).verdict()
    return verdict if held.goes_on(1) == "nothing" else "the holder suffers"


@case("cancelled", "refused cancelled")
def one_that_joined_leaves_without_its_part(address):
    name, key = unique(), secrets.token_bytes(32)
    one = accepted(address, name, key)
    two = accepted(address, name, key, mode=wire.JOIN)
    one.send(*group(0), wire.finish(0, len(BIG), b3(BIG)))
    two.socket.close()
    return one.verdict()


@case("digest-mismatch", "nothing is left")
def after_a_wrong_digest_nothing_is_left_under_the_key(address):
    name, key = unique(), secrets.token_bytes(32)
    one = accepted(address, name, key)
    one.send(wire.data(0, 0, len(BIG)), BIG, wire.finish(0, len(BIG), bytes(32)))
    assert one.verdict() == DIGEST
    missing = holder(address, name, key).expect(wire.Accepted, 0).missing
    return "nothing is left" if missing in (((0, len(BIG)),), ((0, None),)) else f"missing {missing}"


@case("stored", "both have the receipt")
def one_that_joined_brings_nothing(address):
    name, key = unique(), secrets.token_bytes(32)
    one = accepted(address, name, key)
    two = accepted(address, name, key, mode=wire.JOIN)
    two.send(wire.finish(0, len(BIG), b3(BIG)))
    one.send(wire.data(0, 0, len(BIG)), BIG, wire.finish(0, len(BIG), b3(BIG)))
    receipts = {raw.expect(wire.Stored, 0).receipt for raw in (one, two)}
    return "both have the receipt" if len(receipts) == 1 else str(receipts)
