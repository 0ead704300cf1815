"""A session whose every statement fails once: retries, recoveries, and what callers are told."""

import random
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import psycopg2
import psycopg2.errors
import pymysql
import pytest

from kmsd.store import Database, dialects, prepare, source_of
from kmsd.store.dialects import Transaction
from kmsd.store.faults import Fault, description, store_error
from kmsd.store.interfaces import (
    Insert,
    ObjectExists,
    StaleRecord,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreReadOnly,
    StoreRefused,
    StoreUnavailable,
)
from kmsd.store.session import Session, Source, Unit
from kmsd.store.sql import _carry_out, _step
from tests.records import record


def sqlite_error(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("SECRET value in the driver's text")
    error.sqlite_errorcode = code
    error.sqlite_errorname = "SQLITE_TEST"
    return error


class Failing:
    """Connections that raise what `plan` has for their n-th statement."""

    def __init__(self, source: Source) -> None:
        self._connect = source.connect
        self.plan: dict[int, Exception] = {}
        self.executed: list[str] = []
        self.connected = 0

    def connect(self) -> Any:
        self.connected += 1
        return Connection(self, self._connect())


class Connection:
    def __init__(self, failing: Failing, real: Any) -> None:
        self._failing, self._real = failing, real

    def cursor(self) -> Any:
        return Cursor(self._failing, self._real.cursor())

    def close(self) -> None:
        self._real.close()


class Cursor:
    def __init__(self, failing: Failing, real: Any) -> None:
        self._failing, self._real = failing, real

    def execute(self, statement: str, *values: Any) -> None:
        failing = self._failing
        failing.executed.append(statement)
        error = failing.plan.pop(len(failing.executed) - 1, None)
        if error is not None:
            raise error
        self._real.execute(statement, *values)

    def executemany(self, statement: str, values: Any) -> None:
        for each in values:
            self.execute(statement, each)

    def fetchall(self) -> Any:
        return self._real.fetchall()

    @property
    def rowcount(self) -> int:
        count: int = self._real.rowcount
        return count


@pytest.fixture
def source(tmp_path: Path) -> Source:
    made = source_of(Database(type="sqlite", path=tmp_path))
    prepare(made)
    return made


@pytest.fixture(params=[False, True], ids=["local", "shared"])
def failing(request: pytest.FixtureRequest, source: Source) -> tuple[Failing, Session]:
    """A session on failing connections, without and with the markers of a shared database."""
    made = Failing(source)
    dialect = msgspec.structs.replace(dialects.SQLITE, shared=request.param)
    return made, Session(Source(dialect, made.connect), sleep=lambda _seconds: None)


def insert(*uids: str) -> Unit[None]:
    return Unit(partial(_carry_out, [_step(Insert(record(uid))) for uid in uids]), uids)


def count(source: Source, table: str = "objects") -> int:
    connection = source.connect()
    [(number,)] = connection.execute(f"SELECT COUNT(*) FROM {table}").fetchall()  # noqa: S608
    connection.close()
    return int(number)


PASSING = [sqlite3.SQLITE_BUSY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN]


@pytest.mark.parametrize("code", PASSING)
def test_every_statement_may_fail_once(
    code: int, source: Source, failing: tuple[Failing, Session]
) -> None:
    """Whichever statement of a write fails in passing, the write is done, once."""
    plan, session = failing
    number = 0
    while True:
        plan.executed.clear()
        plan.plan = {number: sqlite_error(code)}
        unit = insert(f"{number}", f"{number}_pk")
        session.write([unit])
        assert unit.error is None
        number += 1
        assert count(source) == 2 * number
        if plan.plan:  # there was no such statement
            break
    assert number > 3
    session.close()


def attempted(session: Session, expected: type[StoreError], *units: Unit[Any]) -> StoreError | None:
    try:
        session.write(units)
    except expected as error:
        return error
    return None


def test_a_fifth_of_all_statements_fails(failing: tuple[Failing, Session]) -> None:
    """Deadlocks and lost connections at random: everything acknowledged is there, once.

    What was not acknowledged failed for want of tries, and is not there.
    """
    plan, session = failing
    chance = random.Random(1)  # noqa: S311
    plan.plan = {
        number: sqlite_error(chance.choice(PASSING))
        for number in range(20_000)
        if chance.random() < 0.2
    }
    done, lost = set(), set()
    for number in range(300):
        unit = insert(f"{number}", f"{number}_pk")
        try:
            session.write([unit])
        except StoreUnavailable:
            lost.add(number)
        else:
            assert unit.error is None
            done.add(number)
    plan.plan = {}
    present = {uid for (uid,) in session.read(lambda each: each.rows("SELECT uid FROM objects"))}
    assert present == {f"{number}{end}" for number in done for end in ("", "_pk")}
    assert len(done) > 200
    assert len(lost) > 0
    session.close()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_FULL, StoreFull),
        (sqlite3.SQLITE_IOERR_SHMSIZE, StoreFull),
        (sqlite3.SQLITE_READONLY, StoreReadOnly),
        (sqlite3.SQLITE_PERM, StoreReadOnly),
        (sqlite3.SQLITE_CORRUPT, StoreDamaged),
        (sqlite3.SQLITE_NOTADB, StoreDamaged),
    ],
)
def test_lasting_faults_are_told_at_once(
    code: int, expected: type[StoreError], source: Source, failing: tuple[Failing, Session]
) -> None:
    """A fault that another try does not cure fails the whole group, and the next write works."""
    plan, session = failing
    number = 0
    while True:
        plan.executed.clear()
        plan.plan = {number: sqlite_error(code)}
        before = count(source)
        caught = attempted(session, expected, insert(f"{number}-a"), insert(f"{number}-b"))
        if caught is None:
            assert plan.plan
            break
        assert "SECRET" not in str(caught)
        assert caught.__cause__ is None
        assert count(source) == before
        session.write([insert(f"{number}-c")])
        number += 1
    assert number > 3
    session.close()


def test_a_fault_that_stays_is_given_up(failing: tuple[Failing, Session]) -> None:
    """After six tries the caller is told to come back later; then everything works again."""
    plan, session = failing
    plan.plan = {n: sqlite_error(sqlite3.SQLITE_BUSY) for n in range(500)}
    with pytest.raises(StoreUnavailable, match="SQLITE_TEST") as caught:
        session.write([insert("a")])
    assert caught.value.retry_after_seconds == 1
    assert len([each for each in plan.executed if each.startswith("BEGIN")]) == 6
    with pytest.raises(StoreUnavailable):
        session.read(lambda transaction: transaction.rows("SELECT 1"))
    plan.plan = {}
    session.write([insert("a")])
    assert session.read(lambda transaction: transaction.rows("SELECT uid FROM objects")) == [("a",)]
    session.close()


def test_the_time_for_tries_is_bounded(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slow failures are not repeated six times: two and a half seconds are enough."""
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    tries: list[float] = []

    def connect() -> Any:
        tries.append(now[0])
        now[0] += 2.0
        raise sqlite_error(sqlite3.SQLITE_CANTOPEN)

    session = Session(Source(dialects.SQLITE, connect), sleep=lambda _seconds: None)
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        session.read(lambda transaction: transaction.rows("SELECT 1"))
    assert tries == [0.0, 2.0]
    assert source


def test_units_fail_alone(source: Source, failing: tuple[Failing, Session]) -> None:
    """In a group each unit has its own outcome: the store's errors, bugs, and the driver's."""
    _, session = failing

    def stale(_transaction: Transaction) -> None:
        raise StaleRecord("x")

    def bug(_transaction: Transaction) -> None:
        raise ZeroDivisionError

    def nonsense(transaction: Transaction) -> None:
        transaction.run("SELECT SECRET FROM nowhere")

    def taken(transaction: Transaction) -> None:
        for _ in range(2):
            transaction.run("INSERT INTO counters (uid, name, value) VALUES ('u', 'n', 1)")

    units: list[Unit[Any]] = [insert("a"), *map(Unit, (stale, bug, nonsense, taken)), insert("b")]
    session.write(units)
    assert [type(unit.error) for unit in units] == [
        type(None), StaleRecord, ZeroDivisionError, StoreError, StoreError, type(None),
    ]  # fmt: skip
    assert "SECRET" not in str(units[3].error)
    assert (count(source), count(source, "counters")) == (2, 0)
    alone: Unit[Any] = insert("a")
    session.write([alone])
    assert isinstance(alone.error, ObjectExists)
    session.close()


def test_a_read_that_fails_leaves_no_transaction(failing: tuple[Failing, Session]) -> None:
    """A bug in a read, or an error of the store, is raised as it is and the session goes on."""
    _, session = failing

    def fail(error: Exception) -> Callable[[Transaction], Any]:
        def work(transaction: Transaction) -> Any:
            transaction.rows("SELECT 1")
            raise error

        return work

    for error in (ZeroDivisionError(), StaleRecord("x")):
        with pytest.raises(type(error)):
            session.read(fail(error))
        assert session.read(lambda transaction: transaction.rows("SELECT 1")) == [(1,)]
    session.close()


def test_an_earlier_commit_is_recognised(source: Source) -> None:
    """When COMMIT was carried out but its answer lost, the unit is not run again."""
    made = Failing(source)
    dialect = msgspec.structs.replace(dialects.SQLITE, shared=True)
    session = Session(Source(dialect, made.connect), sleep=lambda _seconds: None)
    runs: list[int] = []

    def add(transaction: Transaction) -> int:
        runs.append(1)
        transaction.run(
            "INSERT INTO counters (uid, name, value) VALUES (?, 'n', 1)", f"{len(runs)}"
        )
        return len(runs)

    class Lost(Cursor):
        def execute(self, statement: str, *values: Any) -> None:
            super().execute(statement, *values)
            if statement == "COMMIT" and len(runs) == 1:
                runs.append(0)
                raise sqlite_error(sqlite3.SQLITE_IOERR)

    original = Connection.cursor
    try:
        Connection.cursor = lambda self: Lost(made, self._real.cursor())  # type: ignore[method-assign]
        unit = Unit(add)
        session.write([unit])
    finally:
        Connection.cursor = original  # type: ignore[method-assign]
    assert (unit.result, runs) == (1, [1, 0])
    assert count(source, "counters") == 1
    session.close()


def test_old_markers_are_removed(source: Source) -> None:
    """The markers of commits do not pile up."""
    connection = source.connect()
    connection.execute("INSERT INTO commits VALUES ('old', 1)")
    connection.close()
    dialect = msgspec.structs.replace(dialects.SQLITE, shared=True)
    session = Session(Source(dialect, source.connect))
    for number in range(3):
        session.write([insert(f"{number}")])
    assert count(source, "commits") == 3
    session.close()


def test_an_idle_connection_is_checked(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a pause a connection is asked before it is used, and replaced if it does not answer."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    made = Failing(source)
    dialect = msgspec.structs.replace(dialects.SQLITE, shared=True)
    session = Session(Source(dialect, made.connect))
    ask = partial(session.read, lambda transaction: transaction.rows("SELECT 2"))
    ask()
    now[0] += 10
    ask()
    assert (made.connected, made.executed.count("SELECT 1")) == (1, 0)
    now[0] += 30
    ask()
    assert (made.connected, made.executed.count("SELECT 1")) == (1, 1)
    now[0] += 30
    made.plan = {len(made.executed): sqlite_error(sqlite3.SQLITE_IOERR)}
    ask()
    assert made.connected == 2
    session.sever()
    session.close()
    session.sever()


def test_changes_are_announced_with_the_commit(source: Source) -> None:
    """The names of the changed objects are told in the transaction; too many are not named."""
    made = Failing(source)
    dialect = msgspec.structs.replace(dialects.SQLITE, shared=True, announce="SELECT ?")
    heard: list[Any] = []

    class Hearing(Cursor):
        def execute(self, statement: str, *values: Any) -> None:
            super().execute(statement, *values)
            if statement == "SELECT ?":
                heard.extend(values[0])

    session = Session(Source(dialect, made.connect))
    original = Connection.cursor
    try:
        Connection.cursor = lambda self: Hearing(made, self._real.cursor())  # type: ignore[method-assign]
        session.write([insert("b", "a"), insert("c")])
        session.write([insert("a")])  # fails: nothing to tell
        session.write([insert(*(f"{n:0100}" for n in range(100)))])
    finally:
        Connection.cursor = original  # type: ignore[method-assign]
    assert heard == ['["a","b","c"]', ""]
    session.close()


def test_no_retry_hides_a_closed_connection(source: Source) -> None:
    """A connection that was closed under the session is replaced."""
    connections: list[Any] = []

    def connect() -> Any:
        connections.append(source.connect())
        return connections[-1]

    session = Session(Source(dialects.SQLITE, connect), sleep=lambda _seconds: None)
    session.write([insert("a")])
    connections[0].close()
    session.write([insert("b")])
    assert (len(connections), count(source)) == (2, 2)
    session.close()


class Coded(psycopg2.OperationalError):
    pgcode = None

    def __init__(self, code: str | None, text: str = "") -> None:
        super().__init__(text)
        self.pgcode = code


POSTGRESQL_FAULTS = [
    (Coded("23505"), Fault.TAKEN),
    (Coded("40001"), Fault.BUSY),
    (Coded("40P01"), Fault.BUSY),
    (Coded("55P03"), Fault.BUSY),
    (Coded("08006"), Fault.GONE),
    (Coded("57P01"), Fault.GONE),
    (Coded("53300"), Fault.GONE),
    (Coded("53100"), Fault.FULL),
    (Coded("25006"), Fault.READ_ONLY),
    (Coded("28P01"), Fault.REFUSED),
    (Coded("3D000"), Fault.REFUSED),
    (Coded("XX001"), Fault.DAMAGED),
    (Coded("42601"), Fault.OTHER),
    (Coded(None, "server closed the connection unexpectedly"), Fault.GONE),
    (Coded(None, 'FATAL:  password authentication failed for user "x"'), Fault.REFUSED),
    (Coded(None, 'FATAL:  database "x" does not exist'), Fault.REFUSED),
    (Coded(None, "FATAL:  sorry, too many clients already"), Fault.GONE),
    (Coded(None, 'root certificate file "/x" does not exist'), Fault.UNTRUSTED),
    (Coded(None, "SSL error: certificate verify failed"), Fault.UNTRUSTED),
    (psycopg2.InterfaceError("connection already closed"), Fault.GONE),
    (psycopg2.ProgrammingError("can't adapt"), Fault.OTHER),
    (ValueError("x"), Fault.OTHER),
]
MYSQL_FAULTS = [
    (pymysql.err.OperationalError(1213, "deadlock"), Fault.BUSY),
    (pymysql.err.OperationalError(2013, "lost"), Fault.GONE),
    (pymysql.err.OperationalError(1040, "too many connections"), Fault.GONE),
    (pymysql.err.InterfaceError(0, ""), Fault.GONE),
    (pymysql.err.InterfaceError("(0, '')"), Fault.GONE),
    (pymysql.err.IntegrityError(1062, "duplicate"), Fault.TAKEN),
    (pymysql.err.OperationalError(1050, "exists"), Fault.EXISTS),
    (pymysql.err.OperationalError(1114, "full"), Fault.FULL),
    (pymysql.err.OperationalError(1290, "read-only"), Fault.READ_ONLY),
    (pymysql.err.OperationalError(1045, "denied"), Fault.REFUSED),
    (pymysql.err.InternalError(1712, "index corrupted"), Fault.DAMAGED),
    (pymysql.err.ProgrammingError(1064, "syntax"), Fault.OTHER),
    (pymysql.err.OperationalError(), Fault.GONE),
    (ValueError("x"), Fault.OTHER),
]


@pytest.mark.parametrize(
    ("dialect", "error", "expected"),
    [
        *((dialects.POSTGRESQL, *row) for row in POSTGRESQL_FAULTS),
        *((dialects.MYSQL, *row) for row in MYSQL_FAULTS),
        (dialects.SQLITE, sqlite_error(sqlite3.SQLITE_READONLY_DBMOVED), Fault.GONE),
        (dialects.SQLITE, sqlite_error(sqlite3.SQLITE_ERROR), Fault.OTHER),
        (dialects.SQLITE, sqlite3.ProgrammingError("wrong number of bindings"), Fault.OTHER),
        (dialects.SQLITE, ValueError("x"), Fault.OTHER),
    ],
)
def test_what_errors_mean(dialect: dialects.Dialect, error: Exception, expected: Fault) -> None:
    """Each driver's errors are told apart as the store needs it."""
    assert dialect.fault(error) is expected


def test_errors_say_what_to_do() -> None:
    """The text of each error names the mend, and the driver's error only by class and code."""
    assert isinstance(store_error(Fault.REFUSED), StoreRefused)
    assert "room" in str(store_error(Fault.FULL))
    assert "backup" in str(store_error(Fault.DAMAGED))
    assert "permissions" in str(store_error(Fault.READ_ONLY))
    assert description(sqlite_error(1)) == "OperationalError SQLITE_TEST"
    assert description(Coded("23505")) == "Coded 23505"
    assert description(pymysql.err.OperationalError(2013, "x")) == "OperationalError 2013"
    assert description(ValueError("secret")) == "ValueError"
    assert str(store_error(Fault.GONE, "X 1")).endswith("(X 1)")
