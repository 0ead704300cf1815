"""CachedStore: what it keeps, for how long, and what it must never hand out again."""

from collections.abc import Coroutine, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from kmsd.store.cache import CachedStore
from kmsd.store.interfaces import Change, Found, Insert, Query, Record, Remove, Replace, StaleRecord
from tests.records import record

T = TypeVar("T")


class Slow:
    """A store of one version number per object whose every answer the test releases itself."""

    def __init__(self) -> None:
        self.versions: dict[str, int] = {}
        self.reads: list[tuple[Sequence[str], Deferred[None]]] = []
        self.writes: list[Deferred[None]] = []
        self.closed = False
        self.rested = False

    def now(self, uid: str) -> Record:
        return record(uid, comment=str(self.versions[uid]))

    async def get(self, unique_identifier: str) -> Record | None:
        return (await self.get_many((unique_identifier,))).get(unique_identifier)

    async def get_many(self, unique_identifiers: Sequence[str]) -> dict[str, Record]:
        found = {uid: self.now(uid) for uid in unique_identifiers if uid in self.versions}
        waiting: Deferred[None] = Deferred()
        self.reads.append((unique_identifiers, waiting))
        await waiting
        return found

    async def _change(self, uid: str, by: int = 1) -> None:
        waiting: Deferred[None] = Deferred()
        self.writes.append(waiting)
        await waiting
        self.versions[uid] = self.versions.get(uid, 0) + by

    async def write(self, *changes: Change) -> None:
        for change in changes:
            if isinstance(change, Remove):
                await self._change(change.unique_identifier)
            else:
                await self._change(change.record.unique_identifier)

    async def grant(self, unique_identifier: str, *_: object) -> None:
        await self._change(unique_identifier)

    async def ungrant(self, unique_identifier: str, *_: object) -> None:
        await self._change(unique_identifier)

    async def find(self, query: Query) -> Found:
        return Found(("find",), query.offset)

    async def owned(self, owner: str, limit: int, offset: int = 0) -> list[Record]:
        return [record(f"{owner}{limit}{offset}")]

    async def obtained(self, grantee: str, limit: int, offset: int = 0) -> list[Record]:
        return [record(f"{grantee}{limit}{offset}")]

    async def grants(self, unique_identifier: str) -> Mapping[str, frozenset[str]]:
        return {unique_identifier: frozenset()}

    async def reserve(self, unique_identifier: str, counter: str, count: int) -> int:
        return len(unique_identifier + counter) + count

    async def scan(self, after: str, limit: int) -> list[Record]:
        return [record(f"{after}{limit}")]

    async def close(self) -> None:
        self.closed = True

    def rest(self) -> None:
        self.rested = True


class Number:
    """A number that several caches compare, in one process."""

    def __init__(self) -> None:
        self.value = 0
        self.seen = 0
        self.closed = False

    def changed_elsewhere(self) -> bool:
        changed, self.seen = self.value != self.seen, self.value
        return changed

    def change(self) -> None:
        self.value += 1

    def close(self) -> None:
        self.closed = True


def start(work: Coroutine[Any, Any, T]) -> Deferred[T]:
    return Deferred.fromCoroutine(work)


def answer(waiting: Deferred[T]) -> T:
    """Return the result of a Deferred that must have one."""
    results: list[T] = []
    waiting.addCallback(results.append)
    (result,) = results
    return result


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that must not wait."""
    with pytest.raises(StopIteration) as done:
        work.send(None)
    result: T = done.value.value
    return result


@pytest.fixture
def slow() -> Slow:
    return Slow()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def cache(slow: Slow, clock: Clock) -> Iterator[CachedStore]:
    yield CachedStore(slow, clock.seconds, capacity=3)
    assert all(waiting.called for _, waiting in slow.reads)


def read(cache: CachedStore, slow: Slow, uid: str = "a") -> str | None:
    """Read an object, from the database if need be; return its version."""
    waiting = start(cache.get(uid))
    if not waiting.called:
        slow.reads[-1][1].callback(None)
    found = answer(waiting)
    return found.attributes.comment if found else None


def test_a_hit_does_not_wait(cache: CachedStore, slow: Slow) -> None:
    """The second read of an object is complete at the first step, without the store behind."""
    slow.versions["a"] = 1
    first = start(cache.get("a"))
    assert not first.called
    slow.reads[0][1].callback(None)
    assert answer(first) is at_once(cache.get("a"))
    assert at_once(cache.get_many(["a"])) == {"a": at_once(cache.get("a"))}
    assert len(slow.reads) == 1


def test_what_is_missing_is_not_remembered(cache: CachedStore, slow: Slow) -> None:
    """An object that appears is found, although it was asked for before."""
    assert read(cache, slow) is None
    slow.versions["a"] = 1
    assert read(cache, slow) == "1"


def test_only_what_is_missing_is_read(cache: CachedStore, slow: Slow) -> None:
    """Of several objects those at hand are not read again."""
    slow.versions = {"a": 1, "b": 2}
    read(cache, slow)
    waiting = start(cache.get_many(["a", "b", "c"]))
    assert slow.reads[-1][0] == ["b", "c"]
    slow.reads[-1][1].callback(None)
    assert sorted(answer(waiting).keys()) == ["a", "b"]


@pytest.mark.parametrize("verb", ["insert", "replace", "remove", "grant", "ungrant"])
def test_a_change_is_seen_at_once(cache: CachedStore, slow: Slow, verb: str) -> None:
    """Whatever changes an object, the next read after its answer sees it."""
    slow.versions["a"] = 1
    read(cache, slow)
    changed = start(
        {
            "insert": lambda: cache.write(Insert(record("a"))),
            "replace": lambda: cache.write(Replace(record("a"))),
            "remove": lambda: cache.write(Remove("a", 1)),
            "grant": lambda: cache.grant("a", "bob", frozenset()),
            "ungrant": lambda: cache.ungrant("a", "bob", frozenset()),
        }[verb]()
    )
    slow.writes[0].callback(None)
    assert answer(changed) is None
    assert read(cache, slow) == "2"


def test_a_read_that_a_write_overtakes_is_not_kept(cache: CachedStore, slow: Slow) -> None:
    """A read that began before a write and ends after it may be old: it is handed on, not kept."""
    slow.versions["a"] = 1
    old = start(cache.get("a"))
    change = start(cache.write(Replace(record("a"))))
    slow.writes[0].callback(None)
    answer(change)
    slow.reads[0][1].callback(None)
    found = answer(old)
    assert found
    assert found.attributes.comment == "1"
    assert read(cache, slow) == "2"


def test_a_read_within_a_write_is_not_kept(cache: CachedStore, slow: Slow) -> None:
    """What is read between the beginning and the end of a write is dropped when it ends."""
    slow.versions["a"] = 1
    change = start(cache.write(Replace(record("a"))))
    assert read(cache, slow) == "1"
    assert at_once(cache.get("a"))
    slow.writes[0].callback(None)
    answer(change)
    assert read(cache, slow) == "2"


def test_a_write_goes_on_when_its_waiter_leaves(cache: CachedStore, slow: Slow) -> None:
    """The entry is dropped when the write ends, not when the client lost interest."""
    slow.versions["a"] = 1
    change = start(cache.write(Replace(record("a"))))
    failures: list[Any] = []
    change.addErrback(failures.append)
    change.cancel()
    assert failures[0].check(CancelledError)
    assert read(cache, slow) == "1"
    slow.writes[0].callback(None)
    assert slow.versions["a"] == 2
    assert read(cache, slow) == "2"


def test_a_failed_write_drops_the_entry_too(cache: CachedStore, slow: Slow) -> None:
    """Nobody knows what a failure left behind: the entry goes, and the error is passed on."""
    slow.versions["a"] = 1
    change = start(cache.write(Replace(record("a"))))
    read(cache, slow)
    slow.versions["a"] = 7  # somebody else, which is why it fails
    slow.writes[0].errback(StaleRecord("a"))
    failures: list[Any] = []
    change.addErrback(failures.append)
    assert failures[0].check(StaleRecord)
    assert read(cache, slow) == "7"


def test_a_failed_read_leaves_nothing(cache: CachedStore, slow: Slow) -> None:
    """After an error the next read asks again; a read that was cancelled harms nobody."""
    slow.versions["a"] = 1
    failed = start(cache.get("a"))
    slow.reads[0][1].errback(StaleRecord("a"))
    failed.addErrback(lambda _failure: None)
    cancelled = start(cache.get("a"))
    cancelled.cancel()
    cancelled.addErrback(lambda _failure: None)
    assert read(cache, slow) == "1"
    assert at_once(cache.get("a"))


def test_two_reads_at_once_fill_the_cache_once(cache: CachedStore, slow: Slow) -> None:
    """Concurrent reads of one object both get it, and the later one is kept."""
    slow.versions["a"] = 1
    both = [start(cache.get("a")), start(cache.get("a"))]
    for _, waiting in slow.reads:
        waiting.callback(None)
    assert answer(both[0]) == answer(both[1])
    assert at_once(cache.get("a"))


def test_the_least_used_goes_first(cache: CachedStore, slow: Slow) -> None:
    """Beyond its capacity the cache drops what was not used for longest."""
    slow.versions = dict.fromkeys("abcd", 1)
    for uid in "abc":
        read(cache, slow, uid)
    assert cache.peek("a")
    read(cache, slow, "d")
    assert [uid for uid in "abcd" if cache.peek(uid)] == ["a", "c", "d"]


def test_entries_live_for_a_time_where_others_write(slow: Slow, clock: Clock) -> None:
    """With several servers an entry is old when its lifetime has passed since its read began."""
    cache = CachedStore(slow, clock.seconds, lifetime_seconds=1.0)
    slow.versions["a"] = 1
    waiting = start(cache.get("a"))
    clock.advance(0.5)
    slow.reads[0][1].callback(None)
    answer(waiting)
    slow.versions["a"] = 2
    clock.advance(0.25)
    assert read(cache, slow) == "1"
    clock.advance(0.25)
    assert read(cache, slow) == "2"


def test_a_lifetime_of_nothing_keeps_nothing(slow: Slow, clock: Clock) -> None:
    """Zero seconds turn the cache off."""
    cache = CachedStore(slow, clock.seconds, lifetime_seconds=0)
    slow.versions["a"] = 1
    read(cache, slow)
    assert cache.peek("a") is None


def test_what_others_announce_is_forgotten(cache: CachedStore, slow: Slow) -> None:
    """Named objects, or all, are read again; a read on its way is not kept."""
    slow.versions = {"a": 1, "b": 1}
    read(cache, slow, "a")
    read(cache, slow, "b")
    cache.forget(["a", "unknown"])
    assert (cache.peek("a"), bool(cache.peek("b"))) == (None, True)
    waiting = start(cache.get("a"))
    cache.forget()
    slow.reads[-1][1].callback(None)
    answer(waiting)
    assert (cache.peek("a"), cache.peek("b")) == (None, None)


def test_processes_that_share_a_number(slow: Slow, clock: Clock) -> None:
    """A change in one process is seen by the next read in another."""
    number = Number()
    here = CachedStore(slow, clock.seconds, shared=number)
    slow.versions["a"] = 1
    read(here, slow)
    slow.versions["a"] = 2
    assert read(here, slow) == "1"
    number.change()
    assert read(here, slow) == "2"
    change = start(here.write(Replace(record("a"))))
    slow.writes[0].callback(None)
    answer(change)
    assert number.value == 2
    at_once(here.close())
    assert number.closed


def test_everything_else_goes_straight_through(cache: CachedStore, slow: Slow) -> None:
    """Searches, lists, grants and counters are the store's own."""
    assert at_once(cache.find(Query(offset=3))) == Found(("find",), 3)
    assert at_once(cache.owned("o", 1, 2)) == [record("o12")]
    assert at_once(cache.obtained("g", 1, 2)) == [record("g12")]
    assert at_once(cache.grants("a")) == {"a": frozenset()}
    assert at_once(cache.reserve("a", "b", 5)) == 7
    assert at_once(cache.scan("a", 5)) == [record("a5")]
    cache.rest()
    assert slow.rested
    stopped: list[str] = []
    cache.on_close.append(lambda: stopped.append("yes"))
    at_once(cache.close())
    assert (slow.closed, stopped) == (True, ["yes"])


def test_a_store_that_cannot_rest_is_left_alone(clock: Clock) -> None:
    """A store without connections of its own has nothing to let go of."""
    inner = CachedStore(Slow(), clock.seconds)
    del_rest = CachedStore(object(), clock.seconds)  # type: ignore[arg-type]
    inner.rest()
    del_rest.rest()
