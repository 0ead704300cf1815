"""One database copied into another, of whatever type: to move, to back up, to restore.

The source is read as of one moment, in pages by identifier. For each page the target is made equal
to it in one transaction, so a copy that was interrupted is simply begun again: what is there and
equal is passed over. A marker in the target says that it holds an unfinished copy, and of what.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec

from kmsd.store import sql, tokens
from kmsd.store.dialects import Transaction
from kmsd.store.faults import Fault, description, store_error
from kmsd.store.interfaces import EVERYONE, Record, StoreError, StoreRefused
from kmsd.store.migrations import MIGRATIONS
from kmsd.store.rows import row, text
from kmsd.store.session import Session, Source, Unit

_PAGE = 100
_MARKER = "unfinished copy "

Progress = Callable[[str, int, int], None]


class Copied(msgspec.Struct, frozen=True):
    """How many objects the source has, and how many of them had to be written."""

    objects: int
    written: int


def copy(
    source: Source,
    target: Source,
    *,
    name: str,
    merge: bool = False,
    progress: Progress = lambda _phase, _done, _total: None,
) -> Copied:
    """Copy everything from one database into another and compare the two.

    The target must be empty, or hold an unfinished copy of the same source, which `name` names.
    With `merge` it may have objects of its own; none may differ from one of the source.

    Raises:
        StoreRefused: the target is not empty, or an object differs.
        StoreError: a database cannot be used, or an object is damaged.
    """
    session = Session(target)
    try:
        with _snapshot(source) as reading:
            _check_schema(reading)
            marker = _MARKER + hashlib.sha256(name.encode()).hexdigest()[:32]
            _write(session, lambda writing: _begin(writing, marker, merge=merge))
            copying = _Copying(reading, session, progress, merge=merge)
            copying.run()
            _write(session, lambda writing: copying.finish(writing, marker))
            copying.verify()
            return Copied(copying.total, copying.written)
    finally:
        session.close()


@contextlib.contextmanager
def _snapshot(source: Source) -> Iterator[Transaction]:
    """Read everything as of one moment."""
    try:
        connection = source.connect()
        with contextlib.closing(connection):
            source.dialect.be_patient(connection)
            reading = Transaction(connection.cursor(), source.dialect)
            for statement in source.dialect.consistent:
                reading.run(statement)
            yield reading
    except StoreError:
        raise
    except Exception as error:
        fault = source.dialect.fault(error)
        if fault is Fault.OTHER:
            raise
        raise store_error(fault, f"{description(error)}, of the source") from None


def _check_schema(reading: Transaction) -> None:
    [(present,)] = reading.rows("SELECT MAX(number) FROM schema_version")
    latest = MIGRATIONS[-1].number
    if present != latest:
        raise StoreRefused(
            f"the source has schema {present}, this kmsd's is {latest}: start the newer kmsd on the"
            " older database once, which brings it up to date"
        )


def _write(session: Session, work: Callable[[Transaction], Any]) -> Any:
    unit: Unit[Any] = Unit(work)
    session.write([unit])
    if unit.error is not None:
        raise unit.error
    return unit.result


def _begin(writing: Transaction, marker: str, *, merge: bool) -> None:
    """Refuse a target that has something, or mark it as an unfinished copy."""
    marked = "SELECT COUNT(*) FROM counters WHERE uid = ? AND name = ?"
    [(resumed,)] = writing.rows(marked, EVERYONE, marker)
    if resumed:
        return
    counts = [writing.rows(each)[0][0] for each in _COUNTS]
    if any(counts) and not merge:
        raise StoreRefused(
            f"the target is not empty: it has {counts[0]} objects, and is no unfinished copy of"
            " this source"
        )
    if not merge:
        sql.insert_counters(writing, [(EVERYONE, marker, 1)])


_COUNTS = (
    "SELECT COUNT(*) FROM objects",
    "SELECT COUNT(*) FROM grants",
    "SELECT COUNT(*) FROM counters",
)


class _Copying:
    """The copy of one source, from its first page to the comparison at the end."""

    def __init__(
        self, reading: Transaction, session: Session, progress: Progress, *, merge: bool
    ) -> None:
        self._reading = reading
        self._session = session
        self._progress = progress
        self._merge = merge
        [(total,)] = reading.rows("SELECT COUNT(*) FROM objects")
        self.total = int(total)
        self.written = 0

    def _pages(self) -> Iterator[tuple[str, list[Record]]]:
        """Yield the source's objects, each page with the identifier before it."""
        last = ""
        while page := sql.after(self._reading, last, _PAGE):
            yield last, page
            last = page[-1].unique_identifier

    def run(self) -> None:
        """Make the target's objects equal to the source's."""
        done, last = 0, ""
        for before, page in self._pages():
            last = page[-1].unique_identifier
            self.written += _write(self._session, partial(self._equal, before=before, page=page))
            done += len(page)
            self._progress("copied", done, self.total)
        if not self._merge:
            while _write(self._session, partial(_drop_behind, last=last)):
                pass

    def _equal(self, writing: Transaction, before: str, page: list[Record]) -> int:
        """Make one page of the target equal; return how many objects that took."""
        there = {
            each.unique_identifier: each
            for each in sql.between(writing, before, page[-1].unique_identifier)
        }
        wanted = {each.unique_identifier: each for each in page}
        other = [each for uid, each in there.items() if wanted.get(uid) != each]
        if self._merge:
            conflicts = [each for each in other if each.unique_identifier in wanted]
            if conflicts:
                name = conflicts[0].unique_identifier
                raise StoreRefused(f"the target has another object {name!r}; nothing is merged")
        else:
            _drop(writing, other)
        new = [each for uid, each in wanted.items() if there.get(uid) != each]
        sql.insert_all(writing, [row(each, each.version) for each in new])
        for each in new:
            sql.insert_grants(writing, each.unique_identifier, each.grants)
        return len(new)

    def finish(self, writing: Transaction, marker: str) -> None:
        """Copy counters, general rights and API tokens, and take the marker away."""
        counters, rights = _counters(self._reading), sql.grants_of(self._reading, EVERYONE)
        if self._merge:
            here = {(uid, name) for uid, name, _ in _counters(writing)}
            counters = [each for each in counters if each[:2] not in here]
            held = sql.grants_of(writing, EVERYONE)
            rights = {who: given - held.get(who, frozenset()) for who, given in rights.items()}
        else:
            writing.run("DELETE FROM counters")
            writing.run("DELETE FROM grants WHERE uid = ?", EVERYONE)
        sql.insert_counters(writing, counters)
        sql.insert_grants(writing, EVERYONE, rights)
        there = {each.token_id for each in tokens.listed(writing)}
        missing = [each for each in tokens.listed(self._reading) if each.token_id not in there]
        tokens.insert(writing, missing)
        writing.run("DELETE FROM counters WHERE uid = ? AND name = ?", EVERYONE, marker)

    def verify(self) -> None:
        """Read every object back and compare. Raises: StoreError."""
        done = 0
        for before, page in self._pages():
            last = page[-1].unique_identifier
            there = self._session.read(partial(sql.between, low=before, high=last))
            found = {each.unique_identifier: each for each in there}
            for each in page:
                if found.get(each.unique_identifier) != each:
                    raise StoreError(f"the object {each.unique_identifier!r} differs in the copy")
            done += len(page)
            self._progress("verified", done, self.total)


def _drop_behind(writing: Transaction, last: str) -> int:
    """Delete some of the objects behind the source's last one; return how many."""
    extra = sql.after(writing, last, _PAGE)
    _drop(writing, extra)
    return len(extra)


def _drop(writing: Transaction, records: list[Record]) -> None:
    for each in records:
        writing.run("DELETE FROM objects WHERE uid = ?", each.unique_identifier)
        sql.forget(writing, each.unique_identifier)


def _counters(transaction: Transaction) -> list[tuple[str, str, int]]:
    rows = transaction.rows("SELECT uid, name, value FROM counters")
    return [(text(uid), text(name), int(value)) for uid, name, value in rows]
