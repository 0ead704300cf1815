"""One connection to a database, and what keeps a failure of it from becoming a wrong answer.

A unit of work is a function from a transaction to a value. It may be run several times before its
result counts, so it changes nothing but the database. All the writes of one moment become one
transaction; those of them that fail by themselves (`StaleRecord` …) do not harm the others.

A COMMIT whose answer is lost may or may not have happened. On databases behind a line each
transaction therefore begins by inserting a marker of its own; the next attempt inserts the same
one. Taken means that the first attempt was committed, and its results stand; not taken means that
it never will be.
"""

import contextlib
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from kmsd.store.dialects import Dialect, Transaction
from kmsd.store.faults import GENERAL, PASSING, Fault, description, store_error
from kmsd.store.interfaces import StoreError

T = TypeVar("T")
Work = Callable[[Transaction], T]

_PAUSES_SECONDS = (0.05, 0.15, 0.3, 0.6, 0.9)
_PATIENCE_SECONDS = 2.5
_UNCHECKED_SECONDS = 20.0
_FORGET_SECONDS = 3600
_WORTHWHILE = 2
_MARK = "INSERT INTO commits (marker, committed_at) VALUES (?, ?)"


Insertion = Callable[[Transaction, Sequence[Any]], None]


class Source(msgspec.Struct, frozen=True):
    """Where connections come from."""

    dialect: Dialect
    connect: Callable[[], Any]


class Unit(Generic[T]):
    """A piece of writing and, afterwards, its result or error.

    `touched` are the identifiers of the objects it changes, for other servers' caches. If all that
    it does is to insert objects, `new` has their rows: those of several units can go in one
    statement.
    """

    __slots__ = ("error", "new", "result", "touched", "work")

    def __init__(self, work: Work[T], touched: Sequence[str] = (), new: Sequence[Any] = ()) -> None:
        self.work = work
        self.touched = touched
        self.new = new
        self.result: T | None = None
        self.error: Exception | None = None


class _NeedsGuard(Exception):  # noqa: N818 (a signal)
    """A unit failed by itself: the group is run again with a savepoint before each unit."""


class Session:
    """A connection that is made when needed and replaced when it is lost.

    Its methods block and are called by one thread at a time; `sever` by any.
    """

    def __init__(
        self,
        source: Source,
        insert: Insertion | None = None,
        sleep: Callable[[float], None] = time.sleep,
        connection: Any = None,
    ) -> None:
        self._source = source
        self._insert = insert
        self._dialect = source.dialect
        self._sleep = sleep
        self._connection: Any = None
        self._transaction: Transaction | None = None
        if connection is not None:
            self._use(connection)
        self._used = 0.0
        self._cleaned = 0.0

    def read(self, work: Work[T]) -> T:
        """Return what `work` finds.

        Raises:
            StoreError: the database's fault, in the store's words.
        """

        def attempt() -> T:
            transaction = self._ready()
            if not self._dialect.snapshot:
                return work(transaction)
            transaction.run(self._dialect.snapshot)
            found = work(transaction)
            transaction.run("COMMIT")
            return found

        return self._tried(attempt)

    def write(self, units: Sequence[Unit[Any]]) -> None:
        """Carry out all the units in one transaction and make it durable, or fail as a whole.

        Raises:
            StoreError: nothing was done, or (the text says so) nobody can tell yet.
        """
        marker = secrets.token_hex(16)
        try:
            self._tried(lambda: self._group(units, marker, guarded=False))
        except _NeedsGuard:
            self._tried(lambda: self._group(units, marker, guarded=True))

    def _group(self, units: Sequence[Unit[Any]], marker: str, *, guarded: bool) -> None:
        transaction = self._ready()
        transaction.run(self._dialect.begin)
        if self._dialect.shared and self._committed_before(transaction, marker):
            return
        single = units if guarded or len(units) == 1 else self._inserted(transaction, units)
        for unit in single:
            unit.result = unit.error = None
            self._carry_out(transaction, unit, guarded=guarded, alone=len(units) == 1)
        done = [unit for unit in units if unit.error is None]
        if not done:
            transaction.run("ROLLBACK")
            return
        self._announce(transaction, done)
        transaction.run("COMMIT")

    def _inserted(
        self, transaction: Transaction, units: Sequence[Unit[Any]]
    ) -> Sequence[Unit[Any]]:
        """Carry out all units that only insert, together; return the others."""
        insert = self._insert
        together = [unit for unit in units if unit.new] if insert else []
        if insert is None or len(together) < _WORTHWHILE:
            return units
        try:
            insert(transaction, [row for unit in together for row in unit.new])
        except Exception as error:
            if self._dialect.fault(error) in GENERAL:
                raise
            raise _NeedsGuard from None
        return [unit for unit in units if not unit.new]

    def _carry_out(
        self, transaction: Transaction, unit: Unit[Any], *, guarded: bool, alone: bool
    ) -> None:
        if guarded:
            transaction.run("SAVEPOINT unit")
        try:
            unit.result = unit.work(transaction)
        except Exception as error:
            fault = self._dialect.fault(error)
            if fault in GENERAL:
                raise
            if not guarded and not alone:
                raise _NeedsGuard from None
            unit.error = self._final(fault, error)
            if guarded:
                transaction.run("ROLLBACK TO SAVEPOINT unit")
        else:
            if guarded:
                transaction.run("RELEASE SAVEPOINT unit")

    def _committed_before(self, transaction: Transaction, marker: str) -> bool:
        """Leave the marker; tell whether an earlier attempt got as far as committing it."""
        now = int(time.time())
        try:
            transaction.run(_MARK, marker, now)
        except Exception as error:
            if self._dialect.fault(error) is not Fault.TAKEN:
                raise
            transaction.run("ROLLBACK")
            return True
        if time.monotonic() - self._cleaned > _FORGET_SECONDS or not self._cleaned:
            transaction.run("DELETE FROM commits WHERE committed_at < ?", now - _FORGET_SECONDS)
            self._cleaned = time.monotonic()
        return False

    def _announce(self, transaction: Transaction, units: Sequence[Unit[Any]]) -> None:
        """Tell other servers, at the moment of the commit, which objects changed."""
        touched = {identifier for unit in units for identifier in unit.touched}
        if touched and self._dialect.announce:
            names = msgspec.json.encode(sorted(touched)).decode()
            transaction.run(self._dialect.announce, names if len(names) < 7900 else "")  # noqa: PLR2004 (of 8000)

    def _ready(self) -> Transaction:
        """Return a transaction object on a working connection."""
        now = time.monotonic()
        idle, self._used = now - self._used, now
        if self._transaction is not None and self._dialect.shared and idle > _UNCHECKED_SECONDS:
            self._check(self._transaction)
        return self._transaction or self._use(self._source.connect())

    def _use(self, connection: Any) -> Transaction:
        self._connection = connection
        self._transaction = Transaction(connection.cursor(), self._dialect)
        return self._transaction

    def _check(self, transaction: Transaction) -> None:
        try:
            transaction.rows("SELECT 1")
        except Exception:  # noqa: BLE001 (whatever is wrong with it, we make a new one)
            self.close()

    def _tried(self, attempt: Callable[[], T]) -> T:
        """Run `attempt`, again where another try may help, for about two seconds."""
        give_up = time.monotonic() + _PATIENCE_SECONDS
        for pause in (*_PAUSES_SECONDS, None):
            try:
                return attempt()
            except (StoreError, _NeedsGuard):
                self._roll_back()
                raise
            except Exception as error:  # noqa: BLE001 (drivers have no common base)
                fault = self._dialect.fault(error)
                self._recover(fault)
                late = pause is None or time.monotonic() > give_up
                if fault not in PASSING or late:
                    raise self._final(fault, error) from None
            self._sleep(pause or 0.0)
        raise AssertionError  # pragma: no cover (the last pause is None: it returns or raises)

    def _recover(self, fault: Fault) -> None:
        """Leave the failed attempt's transaction, or the connection if that is what failed."""
        if fault in {Fault.GONE, Fault.DAMAGED, Fault.READ_ONLY, Fault.REFUSED}:
            self.close()
        else:
            self._roll_back()

    def _final(self, fault: Fault, error: Exception) -> Exception:
        """Say it in the store's words; a bug of ours stays what it is."""
        if fault is Fault.OTHER and type(error).__module__.startswith(("kmsd.", "builtins")):
            return error
        return store_error(fault, description(error))

    def _roll_back(self) -> None:
        if self._transaction is not None:
            try:
                self._transaction.run("ROLLBACK")
            except Exception as error:  # noqa: BLE001 (there was no transaction, or no connection)
                if self._dialect.fault(error) is not Fault.OTHER:
                    self.close()

    def sever(self) -> None:
        """Make the thread that waits for the database stop waiting."""
        if self._connection is not None:
            self._dialect.sever(self._connection)

    def close(self) -> None:
        """Close the connection; the next use makes another."""
        connection, self._connection, self._transaction = self._connection, None, None
        if connection is not None:
            with contextlib.suppress(Exception):
                connection.close()
