"""The other rows of the table of goodbyes, and what a connection may do without one."""
from __future__ import annotations

import secrets

import wire
from raw import HELLO, Raw, add, after_welcome, b3, case, content_of, first, small_file, stored_file, unique
from wire import Offer, Resume, frame, uint

ABC = content_of(0, b"abc")

for low, high in ((0, 0), (2, 3)):
    add("unsupported-version", f"versions-{low}-to-{high}", "goodbye unsupported-version",
        lambda address, low=low, high=high: first(address, wire.PREFACE, wire.hello(low, high, "x")))


@case("unsupported-version", "nothing")
def versions_0_to_9(address):
    raw = Raw(address, wire.PREFACE + wire.hello(0, 9, "x"))
    assert raw.welcome().version == 1
    return raw.goes_on(0)


add("goodbye", "goodbye-in-the-place-of-hello", "closed",
    lambda address: first(address, wire.PREFACE, wire.goodbye("other")))
add("not-permitted", "wrong-bearer", "goodbye not-permitted",
    lambda address: after_welcome(address, wire.authenticate_bearer("wrong")))
add("not-permitted", "wrong-proof", "goodbye not-permitted",
    lambda address: after_welcome(address, wire.authenticate_proof("nobody", bytes(32))))
add("invalid-state", "hello-twice", "goodbye invalid-state", lambda address: after_welcome(address, HELLO))
add("invalid-state", "authenticate-after-an-offer", "goodbye invalid-state",
    lambda address: after_welcome(address, wire.offer(0, Offer(unique(), size=3)), wire.authenticate_bearer("x")))


def after_finish(address, *more: bytes) -> str:
    """`more` after the `finish` of an upload that waits: another connection has joined it."""
    size, name, key = 2 * wire.GROUP_BYTES, unique(), secrets.token_bytes(32)
    content = bytes(size)
    one, two = Raw(address), Raw(address)
    for raw, mode in ((one, wire.TAKE_OVER), (two, wire.JOIN)):
        raw.welcome()
        raw.send(wire.offer(0, Offer(name, size=size, resume=Resume(key, 0, mode))))
        raw.expect(wire.Accepted, 0)
    one.send(*content_of(0, content), *more)
    # The goodbye waits for the commits that are under way, and this one waits for the other connection.
    two.send(wire.finish(0, size, b3(content)))
    two.expect(wire.Stored, 0)
    one.expect(wire.Stored, 0)
    return one.verdict()


for what, said in {"data": (wire.data(0, 0, 3), b"abc"), "data-of-0-bytes": (wire.data(0, 3, 0),),
                   "finish": (wire.finish(0, 3, bytes(32)),), "cancel": (wire.cancel(0, "cancelled"),)}.items():
    add("invalid-state", f"{what}-after-finish", "goodbye invalid-state",
        lambda address, said=said: after_finish(address, *said))


def asked_for_the_digest(address):
    """A connection that was asked for the digest of upload 0, and that upload's name."""
    name, raw = stored_file(address, b"abc"), Raw(address)
    raw.welcome()
    raw.send(wire.offer(0, Offer(name, size=3)))
    raw.expect(wire.DigestFirst, 0)
    return raw, name


@case("invalid-state", "goodbye invalid-state")
def offer_without_the_digest_that_was_asked_for(address):
    raw, name = asked_for_the_digest(address)
    raw.send(wire.offer(0, Offer(name, size=3)))
    return raw.verdict()


@case("malformed", "goodbye malformed")
def offered_a_third_time(address):
    raw, name = asked_for_the_digest(address)
    again = wire.offer(0, Offer(name, size=3, digest=b3(b"abc")))
    raw.send(again)
    raw.expect(wire.AlreadyStored, 0)
    raw.send(again)
    return raw.verdict()


@case("too-many", "goodbye too-many")
def one_upload_more_than_granted(address):
    raw = Raw(address)
    granted = raw.welcome().uploads_ahead_max
    raw.send(*(wire.offer(i, Offer(unique(), size=3)) for i in range(granted + 1)))
    return raw.verdict()


@case("too-many", "goodbye too-many")
def an_upload_that_was_asked_for_its_digest_is_open(address):
    raw, _ = asked_for_the_digest(address)
    # The first connection of the case has heard the same limits.
    other = Raw(address)
    granted = other.welcome().uploads_ahead_max
    raw.send(*(wire.offer(i, Offer(unique(), size=3)) for i in range(1, granted + 1)))
    return raw.verdict()


@case("too-many", "nothing")
def as_many_uploads_as_granted(address):
    raw = Raw(address)
    granted = raw.welcome().uploads_ahead_max
    raw.send(*(wire.offer(i, Offer(unique(), size=3)) for i in range(granted)))
    raw.send(wire.cancel(0, "cancelled"))
    return raw.goes_on(granted)


@case("goodbye", "stored, then goodbye malformed")
def commits_under_way_are_answered_before(address):
    raw = Raw(address)
    raw.welcome()
    raw.send(*small_file(0, unique(), secrets.token_bytes(1000)), frame(uint(9)))
    raw.expect(wire.Accepted, 0)
    raw.expect(wire.Stored, 0)
    return "stored, then " + raw.verdict()


# ---- what no goodbye is said to -------------------------------------------------------------------


@case("skipped", "already-stored")
def all_sent_ahead_of_an_upload_that_was_asked_for_its_digest(address):
    name, raw = stored_file(address, b"abc"), Raw(address)
    raw.welcome()
    raw.send(wire.offer(0, Offer(name, size=3)), *ABC)
    raw.expect(wire.DigestFirst, 0)
    raw.send(wire.offer(0, Offer(name, size=3, digest=b3(b"abc"))), *ABC)
    return raw.goes_on(1)


@case("skipped", "already-stored")
def all_sent_ahead_of_what_is_there(address):
    name, raw = stored_file(address, b"abc"), Raw(address)
    raw.welcome()
    raw.send(wire.offer(0, Offer(name, size=3, digest=b3(b"abc"))), *ABC)
    return raw.goes_on(1)


@case("skipped", "already-stored already-stored")
def a_directory_twice(address):
    raw, name = Raw(address), unique()
    raw.welcome()
    raw.send(wire.offer(0, Offer(name, kind=wire.DIRECTORY)), wire.offer(1, Offer(name, kind=wire.DIRECTORY)))
    return raw.goes_on(2)


def refused_then(address, *said: bytes) -> str:
    raw = Raw(address)
    raw.welcome()
    raw.send(wire.offer(0, Offer(b"../x", size=3)))
    raw.expect(wire.Refused, 0)
    raw.send(*said)
    return raw.goes_on(1)


for what, said in {"data-and-finish": ABC, "data-beyond": (wire.data(0, 7, 3), b"abc")}.items():
    add("skipped", f"{what}-of-a-refused-one", "nothing", lambda address, said=said: refused_then(address, *said))


# ---- timeout: for a server whose timeout is short -------------------------------------------------


add("timeout", "silence-after-welcome", "goodbye timeout", after_welcome)
add("timeout", "silence-with-an-open-upload", "goodbye timeout",
    lambda address: after_welcome(address, wire.offer(0, Offer(unique(), size=3))))
add("timeout", "silence-within-a-payload", "goodbye timeout",
    lambda address: after_welcome(address, wire.offer(0, Offer(unique(), size=3)), wire.data(0, 0, 3), b"a"))
add("timeout", "silence-within-the-preface", "goodbye timeout",
    lambda address: first(address, wire.PREFACE[:4]))
