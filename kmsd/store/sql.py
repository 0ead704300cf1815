"""The store on SQL databases: every statement that touches an object, once for all four."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, gatherResults

from kmsd.store import locate
from kmsd.store.dialects import Transaction
from kmsd.store.faults import Fault
from kmsd.store.interfaces import (
    EVERYONE,
    Change,
    Found,
    Insert,
    NoSuchObject,
    ObjectExists,
    Query,
    Record,
    Remove,
    StaleRecord,
    StoreDamaged,
    StoreUnavailable,
)
from kmsd.store.pool import Lane, Points, Reactor, Scan, Threads
from kmsd.store.rows import (
    COLUMNS,
    IDENTIFIER_BYTES,
    NAME_BYTES,
    LabelRow,
    Row,
    checked,
    findable,
    record,
    row,
    text,
)
from kmsd.store.session import Session, Source, Unit, Work

T = TypeVar("T")

_SCAN_SECONDS = 60.0


class SqlStore:
    """An `IStore` on one database, with a lane for writes, one for point reads and some for scans.

    A database that allows no parallel scans (one of many SQLCipher files) has one lane for all.
    Without `threads` it has its own, as many as lanes. A `connection` that is open already becomes
    that of the writes.
    """

    def __init__(
        self,
        reactor: Reactor,
        source: Source,
        threads: Threads | None = None,
        connection: Any = None,
    ) -> None:
        workers = threads or Threads(2 + source.dialect.parallel_scans)
        self._own_threads = None if threads else workers

        def lane(run_seconds: float = 8.0, connection: Any = None) -> Lane:
            session = Session(source, insert_all, connection=connection)
            return Lane(reactor, workers, session, fetch, run_seconds=run_seconds)

        scans = source.dialect.parallel_scans
        self._closed = False
        self._writes = lane(connection=connection)
        self._points = lane() if scans else self._writes
        self._scans = [lane(_SCAN_SECONDS) for _ in range(scans)] or [self._writes]

    async def get(self, unique_identifier: str) -> Record | None:
        """Return the object, or None when there is none."""
        return (await self.get_many((unique_identifier,))).get(unique_identifier)

    async def get_many(self, unique_identifiers: Sequence[str]) -> dict[str, Record]:
        """Return the objects that exist, by identifier."""
        names = [name for name in unique_identifiers if findable(name)]
        found: dict[str, Record] = await self._submit(self._points, Points(names)) if names else {}
        return found

    async def write(self, *changes: Change) -> None:
        """Carry out all the changes in one transaction, or none of them."""
        if changes:
            steps = [_step(change) for change in changes]
            touched = [_identifier(change) for change in changes]
            new = [step.keywords["new"] for step in steps if step.func is _insert]
            unit = Unit(partial(_carry_out, steps), touched, new if len(new) == len(steps) else ())
            await self._submit(self._writes, unit)

    async def find(self, query: Query) -> Found:
        """Return the identifiers that `query` asks for, smallest first."""
        return await self._scan(partial(locate.find, query=query))

    async def owned(self, owner: str, limit: int, offset: int = 0) -> list[Record]:
        """Return the objects of `owner`, by identifier."""
        return await self._page(_OWNED, owner, limit, offset) if findable(owner) else []

    async def obtained(self, grantee: str, limit: int, offset: int = 0) -> list[Record]:
        """Return what others granted to `grantee` or to everyone, by identifier."""
        if not findable(grantee):
            return []
        return await self._page(_OBTAINED, grantee, EVERYONE, grantee, limit, offset)

    async def grant(self, unique_identifier: str, grantee: str, operations: frozenset[str]) -> None:
        """Add `operations` to what `grantee` may do."""
        checked(grantee, NAME_BYTES, "the grantee's name")
        if not findable(unique_identifier):
            raise NoSuchObject(f"there is no object {unique_identifier!r}")
        work = partial(_grant, uid=unique_identifier, grantee=grantee, operations=operations)
        await self._write(work, unique_identifier)

    async def ungrant(
        self, unique_identifier: str, grantee: str, operations: frozenset[str]
    ) -> None:
        """Take `operations` from what `grantee` may do."""
        if findable(unique_identifier) and findable(grantee):
            work = partial(_ungrant, uid=unique_identifier, grantee=grantee, operations=operations)
            await self._write(work, unique_identifier)

    async def grants(self, unique_identifier: str) -> Mapping[str, frozenset[str]]:
        """Return grantee → operations for an object, or for "*"."""
        if not findable(unique_identifier):
            return {}
        return await self._scan(partial(grants_of, uid=unique_identifier))

    async def reserve(self, unique_identifier: str, counter: str, count: int) -> int:
        """Add `count` to a durable counter that starts at 0; return its value before."""
        checked(unique_identifier, IDENTIFIER_BYTES, "the unique identifier")
        return await self._write(
            partial(_reserve, uid=unique_identifier, counter=counter, count=count)
        )

    async def scan(self, after: str, limit: int) -> list[Record]:
        """Return the next objects whose identifier sorts behind `after`."""
        return await self._page(_AFTER, after, limit)

    async def ping(self) -> None:
        """Ask the database for a sign of life. Raises: StoreUnavailable."""
        await self._scan(lambda transaction: transaction.rows("SELECT 1"))

    async def close(self) -> None:
        """Finish what is under way and close every connection."""
        self._closed = True
        await gatherResults([lane.close() for lane in self._lanes])
        if self._own_threads is not None:
            self._own_threads.stop()

    def rest(self) -> None:
        """Close the connections that are idle; they open again when they are needed."""
        for lane in self._lanes:
            lane.rest()

    @property
    def _lanes(self) -> list[Lane]:
        return list(dict.fromkeys([self._writes, self._points, *self._scans]))

    def _submit(self, lane: Lane, unit: Unit[Any] | Points) -> Deferred[Any]:
        if self._closed:
            raise StoreUnavailable("the store is closed")
        return lane.submit(unit)

    async def _write(self, work: Work[T], *touched: str) -> T:
        result: T = await self._submit(self._writes, Unit(work, touched))
        return result

    async def _scan(self, work: Work[T]) -> T:
        result: T = await self._submit(min(self._scans, key=len), Scan(work))
        return result

    async def _page(self, page: str, *values: Any) -> list[Record]:
        return await self._scan(lambda transaction: _records(transaction.rows(page, *values)))


# Reading. One statement reads an object with its grants, so that both are of one moment.

_READ = "SELECT o.uid, o.owner, o.version, o.attributes, o.object, g.grantee, g.operation"
_FETCH = _READ + " FROM objects o LEFT JOIN grants g ON g.uid = o.uid WHERE o.uid IN (??)"


def _pages(choice: str) -> str:
    """Return the statement that reads the objects of which `choice` gives the identifiers."""
    return (
        f"{_READ} FROM ({choice}) chosen JOIN objects o ON o.uid = chosen.uid"
        " LEFT JOIN grants g ON g.uid = o.uid ORDER BY o.uid"
    )


_OWNED = _pages("SELECT uid FROM objects WHERE owner = ? ORDER BY uid LIMIT ? OFFSET ?")
_OBTAINED = _pages(
    "SELECT DISTINCT x.uid FROM grants x JOIN objects y ON y.uid = x.uid"
    " WHERE x.grantee IN (?, ?) AND y.owner <> ? ORDER BY x.uid LIMIT ? OFFSET ?"
)
_AFTER = _pages("SELECT uid FROM objects WHERE uid > ? ORDER BY uid LIMIT ?")
_BETWEEN = _pages("SELECT uid FROM objects WHERE uid > ? AND uid <= ?")


def fetch(transaction: Transaction, identifiers: Sequence[str]) -> dict[str, Record | StoreDamaged]:
    """Return the objects that exist; one that is damaged is represented by its error."""
    found: dict[str, Record | StoreDamaged] = {}
    for uid, rows in _by_object(transaction.rows_of(_FETCH, list(identifiers))).items():
        try:
            found[uid] = _record(rows)
        except StoreDamaged as error:
            found[uid] = error
    return found


def after(transaction: Transaction, uid: str, limit: int) -> list[Record]:
    """Return the next objects behind `uid`."""
    return _records(transaction.rows(_AFTER, uid, limit))


def between(transaction: Transaction, low: str, high: str) -> list[Record]:
    """Return the objects behind `low` up to `high`."""
    return _records(transaction.rows(_BETWEEN, low, high))


def _records(rows: list[tuple[Any, ...]]) -> list[Record]:
    return [_record(group) for group in _by_object(rows).values()]


def _by_object(rows: list[tuple[Any, ...]]) -> dict[str, list[tuple[Any, ...]]]:
    """Gather the rows of one object, one for each of its grants."""
    groups: dict[str, list[tuple[Any, ...]]] = {}
    for each in rows:
        groups.setdefault(text(each[0]), []).append(each)
    return groups


def _record(rows: list[tuple[Any, ...]]) -> Record:
    return record(rows[0][:5], _operations((each[5], each[6]) for each in rows if each[5]))


def _operations(pairs: Any) -> dict[str, frozenset[str]]:
    grants: dict[str, set[str]] = {}
    for grantee, operation in pairs:
        grants.setdefault(text(grantee), set()).add(text(operation))
    return {grantee: frozenset(operations) for grantee, operations in grants.items()}


def grants_of(transaction: Transaction, uid: str) -> dict[str, frozenset[str]]:
    """Return grantee → operations of an object, or of "*"."""
    return _operations(transaction.rows("SELECT grantee, operation FROM grants WHERE uid = ?", uid))


# Writing. Each function runs in a transaction, and may run twice.

_INSERT = f"INSERT INTO objects ({', '.join(COLUMNS)}) VALUES (??)"  # noqa: S608
_INSERT_LABELS = "INSERT INTO labels (uid, name, value, number) VALUES (??)"
_INSERT_COUNTER = "INSERT INTO counters (uid, name, value) VALUES (??)"
_INSERT_GRANTS = "INSERT INTO grants (uid, grantee, operation) VALUES (??)"
_REPLACE = (
    f"UPDATE objects SET {', '.join(f'{name} = ?' for name in COLUMNS[1:])}"  # noqa: S608
    " WHERE uid = ? AND version = ?"
)
_FORGET = (
    "DELETE FROM labels WHERE uid = ?",
    "DELETE FROM grants WHERE uid = ?",
    "DELETE FROM counters WHERE uid = ?",
)


def _identifier(change: Change) -> str:
    return (
        change.unique_identifier if isinstance(change, Remove) else change.record.unique_identifier
    )


def _step(change: Change) -> partial[None]:
    """Make a change ready: what is wrong with it shows here, before anything is written."""
    if isinstance(change, Insert):
        return partial(_insert, new=row(change.record, 1))
    if isinstance(change, Remove):
        return partial(_remove, uid=change.unique_identifier, version=change.version)
    new = row(change.record, change.record.version + 1)
    return partial(_replace, new=new, version=change.record.version)


def _carry_out(steps: list[partial[None]], transaction: Transaction) -> None:
    for step in steps:
        step(transaction)


def insert_all(transaction: Transaction, new: Sequence[Row]) -> None:
    """Insert objects in one statement; in order, so that two servers never wait for each other."""
    rows = sorted(new, key=lambda each: each.columns[0])
    transaction.insert(_INSERT, [each.columns for each in rows])
    labels = [(each.columns[0], *label) for each in rows for label in each.labels]
    transaction.insert(_INSERT_LABELS, sorted(labels, key=_label_order))


def _label_order(label: tuple[Any, ...]) -> tuple[str, str, str]:
    uid, name, value, _ = label
    return name, value, uid


def _insert(transaction: Transaction, new: Row) -> None:
    try:
        transaction.insert(_INSERT, [new.columns])
    except Exception as error:
        if transaction.dialect.fault(error) is Fault.TAKEN:
            raise ObjectExists(f"there is an object {new.columns[0]!r} already") from None
        raise
    _label(transaction, new.columns[0], new.labels)


def _replace(transaction: Transaction, new: Row, version: int) -> None:
    uid = new.columns[0]
    if transaction.run(_REPLACE, *new.columns[1:], uid, version) != 1:
        raise StaleRecord(f"the object {uid!r} was changed by somebody else")
    rows = transaction.rows("SELECT name, value, number FROM labels WHERE uid = ?", uid)
    present = frozenset((text(name), text(value), number) for name, value, number in rows)
    for name, value, _ in present - new.labels:
        transaction.run(
            "DELETE FROM labels WHERE name = ? AND value = ? AND uid = ?", name, value, uid
        )
    _label(transaction, uid, new.labels - present)


def _label(transaction: Transaction, uid: str, labels: frozenset[LabelRow]) -> None:
    rows = [(uid, *label) for label in labels]
    transaction.insert(_INSERT_LABELS, sorted(rows, key=_label_order))


def _remove(transaction: Transaction, uid: str, version: int) -> None:
    if transaction.run("DELETE FROM objects WHERE uid = ? AND version = ?", uid, version) != 1:
        raise StaleRecord(f"the object {uid!r} was changed by somebody else")
    forget(transaction, uid)


def forget(transaction: Transaction, uid: str) -> None:
    """Delete what belongs to an object that was deleted."""
    for statement in _FORGET:
        transaction.run(statement, uid)


def _grant(transaction: Transaction, uid: str, grantee: str, operations: frozenset[str]) -> None:
    if uid != EVERYONE and not transaction.rows(transaction.dialect.lock_object, uid):
        raise NoSuchObject(f"there is no object {uid!r}")
    present = grants_of(transaction, uid).get(grantee, frozenset())
    insert_grants(transaction, uid, {grantee: operations - present})


def insert_grants(transaction: Transaction, uid: str, grants: Mapping[str, frozenset[str]]) -> None:
    """Insert rights that are not there."""
    rows = [(uid, grantee, each) for grantee, given in grants.items() for each in sorted(given)]
    transaction.insert(_INSERT_GRANTS, rows)


def insert_counters(transaction: Transaction, rows: list[tuple[str, str, int]]) -> None:
    """Insert counters (identifier, name, value) that are not there."""
    transaction.insert(_INSERT_COUNTER, list(rows))


def _ungrant(transaction: Transaction, uid: str, grantee: str, operations: frozenset[str]) -> None:
    for operation in sorted(operations):
        transaction.run(
            "DELETE FROM grants WHERE uid = ? AND grantee = ? AND operation = ?",
            uid,
            grantee,
            operation,
        )


def _reserve(transaction: Transaction, uid: str, counter: str, count: int) -> int:
    add = "UPDATE counters SET value = value + ? WHERE uid = ? AND name = ?"
    if not transaction.run(add, count, uid, counter):
        transaction.insert(_INSERT_COUNTER, [(uid, counter, count)])
    [(value,)] = transaction.rows(
        "SELECT value FROM counters WHERE uid = ? AND name = ?", uid, counter
    )
    return int(value) - count
