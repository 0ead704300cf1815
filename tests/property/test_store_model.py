"""Random sequences of operations agree with a model, on every database and through a cache."""

import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from kmsd.kmip.attributes import labels
from kmsd.kmip.enums import CryptographicAlgorithm, ObjectType, State
from kmsd.kmip.states import effective_state
from kmsd.store import prepare
from kmsd.store.cache import CachedStore
from kmsd.store.interfaces import (
    EVERYONE,
    Change,
    Found,
    Insert,
    IStore,
    NoSuchObject,
    ObjectExists,
    Query,
    Range,
    Record,
    Remove,
    Replace,
    StaleRecord,
    StoreError,
)
from kmsd.store.session import Source
from kmsd.store.sql import SqlStore
from tests.integration.store.conftest import KINDS, empty, mariadb, postgresql, sources
from tests.records import record

__all__ = ["empty", "mariadb", "postgresql", "sources"]

EXAMPLES = int(os.environ.get("KMSD_EXAMPLES", "60"))

T = TypeVar("T")
Grants = dict[str, dict[str, frozenset[str]]]


class Inline(Clock):
    """A reactor and its threads in one: everything happens at once."""

    def callFromThread(self, function: Any, /, *args: Any, **kwargs: Any) -> None:  # noqa: N802
        function(*args, **kwargs)

    def callWhenRunning(self, function: Any, /, *args: Any, **kwargs: Any) -> None:  # noqa: N802
        function(*args, **kwargs)

    def run(self, function: Callable[[], None]) -> None:
        function()


def at_once(work: Coroutine[Any, Any, T]) -> T:
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits")


class Model:
    """What a store does, in dictionaries."""

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.rights: Grants = {}
        self.counters: dict[tuple[str, str], int] = {}

    def now(self, uid: str) -> Record:
        return msgspec.structs.replace(self.records[uid], grants=self.rights.get(uid, {}))

    def get_many(self, uids: list[str]) -> dict[str, Record]:
        return {uid: self.now(uid) for uid in uids if uid in self.records}

    def write(self, *changes: Change) -> None:
        before = (dict(self.records), dict(self.rights), dict(self.counters))
        try:
            for change in changes:
                self._change(change)
        except StoreError:
            self.records, self.rights, self.counters = before
            raise

    def _change(self, change: Change) -> None:
        if isinstance(change, Remove):
            self._fresh(change.unique_identifier, change.version)
            del self.records[change.unique_identifier]
            self.rights.pop(change.unique_identifier, None)
            self.counters = {
                key: value
                for key, value in self.counters.items()
                if key[0] != change.unique_identifier
            }
            return
        new = change.record
        if isinstance(change, Insert):
            if new.unique_identifier in self.records:
                raise ObjectExists
            self.records[new.unique_identifier] = msgspec.structs.replace(new, version=1)
        else:
            self._fresh(new.unique_identifier, new.version)
            self.records[new.unique_identifier] = msgspec.structs.replace(
                new, version=new.version + 1
            )

    def _fresh(self, uid: str, version: int) -> None:
        if uid not in self.records or self.records[uid].version != version:
            raise StaleRecord

    def grant(self, uid: str, grantee: str, operations: frozenset[str]) -> None:
        if uid != EVERYONE and uid not in self.records:
            raise NoSuchObject
        self._set(uid, grantee, self.rights.get(uid, {}).get(grantee, frozenset()) | operations)

    def ungrant(self, uid: str, grantee: str, operations: frozenset[str]) -> None:
        self._set(uid, grantee, self.rights.get(uid, {}).get(grantee, frozenset()) - operations)

    def _set(self, uid: str, grantee: str, operations: frozenset[str]) -> None:
        others = {name: held for name, held in self.rights.get(uid, {}).items() if name != grantee}
        self.rights = self.rights | {uid: others | ({grantee: operations} if operations else {})}

    def grants(self, uid: str) -> dict[str, frozenset[str]]:
        return self.rights.get(uid, {})

    def reserve(self, uid: str, counter: str, count: int) -> int:
        before = self.counters.get((uid, counter), 0)
        self.counters = self.counters | {(uid, counter): before + count}
        return before

    def _sorted(self) -> list[Record]:
        return [self.now(uid) for uid in sorted(self.records)]

    def scan(self, after: str, limit: int) -> list[Record]:
        return [each for each in self._sorted() if each.unique_identifier > after][:limit]

    def owned(self, owner: str, limit: int, offset: int) -> list[Record]:
        return [each for each in self._sorted() if each.owner == owner][offset : offset + limit]

    def obtained(self, grantee: str, limit: int, offset: int) -> list[Record]:
        mine = [
            each
            for each in self._sorted()
            if each.owner != grantee and {grantee, EVERYONE} & set(each.grants)
        ]
        return mine[offset : offset + limit]

    def find(self, query: Query) -> Found:
        uids = [each.unique_identifier for each in self._sorted() if meets(each, query)]
        page = uids[query.offset :][: query.limit]
        return Found(tuple(page), max(len(uids), query.offset if not page else 0) and len(uids))


def meets(each: Record, query: Query) -> bool:
    """Tell whether an object meets every condition of a query."""
    attributes, caller = each.attributes, query.accessible_to
    made = {(label.name, label.value) for label in labels(attributes)}
    wanted = {
        "object_type": query.object_type,
        "cryptographic_algorithm": query.cryptographic_algorithm,
        "cryptographic_length": query.cryptographic_length,
    }
    return (
        (caller is None or caller == each.owner or bool({caller, EVERYONE} & set(each.grants)))
        and set(query.labels) <= made
        and all(value in (None, getattr(attributes, name)) for name, value in wanted.items())
        and (not query.states or effective_state(attributes, query.now) in query.states)
        and all(between(getattr(attributes, each.name), each) for each in query.ranges)
    )


def between(value: int | None, bounds: Range) -> bool:
    low = bounds.low if bounds.low is not None else -(1 << 63)
    high = bounds.high if bounds.high is not None else 1 << 63
    return value is not None and low <= value <= high


UIDS = st.sampled_from(["a", "A", "b", "b ", "é"])
PEOPLE = st.sampled_from(["alice", "Alice", "bob"])
TAGS = st.sampled_from(["t", "T", "t ", "u"])
DATES = st.one_of(st.none(), st.integers(0, 5))
RIGHTS = st.frozensets(st.sampled_from(["get", "encrypt", "destroy"]), min_size=1)
ATTRIBUTES = st.fixed_dictionaries(
    {
        "tags": st.lists(TAGS, max_size=3, unique=True).map(tuple),
        "names": st.lists(TAGS, max_size=2, unique=True).map(tuple),
        "state": st.one_of(st.none(), st.sampled_from(State)),
        "activation_date": DATES,
        "deactivation_date": DATES,
        "object_type": st.sampled_from([ObjectType.SYMMETRIC_KEY, ObjectType.SECRET_DATA]),
        "cryptographic_length": st.sampled_from([None, 128, 256]),
    }
)
RECORDS = st.builds(lambda uid, owner, rest: record(uid, owner, **rest), UIDS, PEOPLE, ATTRIBUTES)
CHANGES = st.tuples(st.sampled_from(["insert", "replace", "remove"]), RECORDS, st.integers(0, 3))
QUERIES = st.builds(
    Query,
    accessible_to=st.one_of(st.none(), PEOPLE),
    labels=st.lists(st.tuples(st.sampled_from(["tag", "Name.NameValue"]), TAGS), max_size=2).map(
        tuple
    ),
    object_type=st.sampled_from([None, ObjectType.SYMMETRIC_KEY]),
    cryptographic_algorithm=st.sampled_from([None, CryptographicAlgorithm.AES]),
    cryptographic_length=st.sampled_from([None, 128]),
    states=st.frozensets(st.sampled_from(State), max_size=2),
    now=st.integers(0, 6),
    ranges=st.lists(
        st.builds(Range, st.sampled_from(["activation_date", "deactivation_date"]), DATES, DATES),
        max_size=1,
    ).map(tuple),
    limit=st.sampled_from([None, 1, 3]),
    offset=st.integers(0, 2),
)
PAGES = st.tuples(st.integers(1, 3), st.integers(0, 2))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), st.lists(CHANGES, min_size=1, max_size=3)),
        st.tuples(st.just("write"), st.lists(CHANGES, min_size=1, max_size=1)),
        st.tuples(st.just("grant"), UIDS | st.just(EVERYONE), PEOPLE | st.just(EVERYONE), RIGHTS),
        st.tuples(st.just("ungrant"), UIDS | st.just(EVERYONE), PEOPLE, RIGHTS),
        st.tuples(st.just("reserve"), UIDS, st.sampled_from(["x", "y"]), st.integers(-2, 5)),
        st.tuples(st.just("find"), QUERIES),
        st.builds(lambda who, page: ("owned", who, *page), PEOPLE, PAGES),
        st.builds(lambda who, page: ("obtained", who, *page), PEOPLE, PAGES),
        st.tuples(st.just("get_many"), st.lists(UIDS, max_size=3)),
        st.tuples(st.just("grants"), UIDS | st.just(EVERYONE)),
        st.tuples(st.just("scan"), UIDS, st.integers(1, 5)),
    ),
    max_size=25,
)


def change(model: Model, kind: str, new: Record, drift: int) -> Change:
    """Make a change that fits the model's version, or now and then one that does not."""
    present = model.records.get(new.unique_identifier)
    version = (present.version if present else 0) + (1 if drift == 3 else 0)
    if kind == "insert":
        return Insert(new)
    if kind == "remove":
        return Remove(new.unique_identifier, version)
    return Replace(msgspec.structs.replace(new, version=version))


def outcome(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return a result, or the class of the store's error."""
    try:
        result = function(*arguments)
        return at_once(result) if isinstance(result, Coroutine) else result
    except StoreError as error:
        return type(error)


def play(store: IStore, steps: list[tuple[Any, ...]]) -> None:
    """Carry out the steps on a store and on the model, and compare everything."""
    model = Model()
    for verb, *given_arguments in steps:
        arguments = given_arguments
        if verb == "write":
            arguments = [change(model, *each) for each in given_arguments[0]]
        expected = outcome(getattr(model, verb), *arguments)
        actual = outcome(getattr(store, verb), *arguments)
        assert actual == expected, (verb, arguments)
    assert at_once(store.scan("", 99)) == model.scan("", 99)
    assert at_once(store.get_many(list(model.records))) == model.get_many(list(model.records))


@pytest.mark.parametrize("cached", [False, True], ids=["plain", "cached"])
@pytest.mark.parametrize("kind", KINDS)
def test_stores_agree_with_the_model(
    sources: Callable[[str], Source], kind: str, *, cached: bool
) -> None:
    """Whatever is done in whatever order, results, errors and the final content are the model's."""
    source = sources(kind)

    # A function of its own for each parameter: pytest-twisted would wrap a shared one repeatedly.
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(STEPS)
    def agrees(steps: list[tuple[Any, ...]]) -> None:
        inline = Inline()
        prepare(source, clear=True)
        sql = SqlStore(inline, source, inline)  # type: ignore[arg-type]
        play(CachedStore(sql, inline.seconds) if cached else sql, steps)
        at_once(sql.close())

    agrees()
