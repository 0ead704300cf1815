"""How each database spells what they do not have in common: four records, read by `sql` alone."""

import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import msgspec

from kmsd.store import mysql, postgresql, sqlite
from kmsd.store.faults import Fault


class Cursor(Protocol):
    """What the drivers' cursors share."""

    rowcount: int

    def execute(self, statement: str, values: Any = ..., /) -> Any:
        """Run one statement."""

    def executemany(self, statement: str, values: Any, /) -> Any:
        """Run one statement for each row of values."""

    def fetchall(self) -> Any:
        """Return the rows of the statement before."""


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """One database's ways.

    `types` fill the holes of the schema: {text:n} compares by bytes and case. `begin` opens a
    transaction that writes, `snapshot` one that only reads (nothing where single statements do),
    `consistent` one that reads everything as of one moment, `exclusive` the one that migrates.
    `lock` and `unlock` keep other servers from migrating at the same time. `shared` says that
    other servers may use the database, over a line that can break. `transactional_schema`: changes
    of the schema can be rolled back. `lock_object` keeps an object from being removed until the
    transaction ends. `announce` tells the other servers which objects changed. `be_patient` lets a
    connection wait for long statements, and long between statements.
    """

    name: str
    mark: str
    types: Mapping[str, str]
    fault: Callable[[Exception], Fault]
    shared: bool
    transactional_schema: bool
    begin: str = "BEGIN"
    snapshot: str = ""
    consistent: tuple[str, ...] = ("BEGIN",)
    exclusive: str = "BEGIN"
    lock: str = ""
    unlock: str = ""
    lock_object: str = "SELECT version FROM objects WHERE uid = ? FOR UPDATE"
    announce: str = ""
    sever: Callable[[Any], None] = lambda _connection: None
    be_patient: Callable[[Any], None] = lambda _connection: None
    parallel_scans: int = 3


_IF_NUMBER = " WHERE number IS NOT NULL"
_SQLITE_TYPES = {
    "text": "TEXT",
    "blob": "BLOB",
    "engine": "",
    "table": " WITHOUT ROWID",
    "if:number": _IF_NUMBER,
}

SQLITE = Dialect(
    name="sqlite",
    mark="?",
    types=_SQLITE_TYPES,
    fault=sqlite.fault,
    shared=False,
    transactional_schema=True,
    begin="BEGIN IMMEDIATE",
    snapshot="BEGIN",
    exclusive="BEGIN EXCLUSIVE",
    lock_object="SELECT version FROM objects WHERE uid = ?",
)

SQLCIPHER = msgspec.structs.replace(SQLITE, name="sqlite-enc", parallel_scans=0)

POSTGRESQL = Dialect(
    name="postgresql",
    mark="%s",
    types={
        "text": 'VARCHAR({n}) COLLATE "C"',
        "blob": "BYTEA",
        "engine": "",
        "table": "",
        "if:number": _IF_NUMBER,
    },
    fault=postgresql.fault,
    shared=True,
    transactional_schema=True,
    lock="SELECT pg_advisory_lock(76239481)",
    unlock="SELECT pg_advisory_unlock(76239481)",
    consistent=("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",),
    announce="SELECT pg_notify('kmsd', ?)",
    sever=postgresql.sever,
    be_patient=postgresql.be_patient,
)

MYSQL = Dialect(
    name="mysql",
    mark="%s",
    types={
        "text": "VARBINARY({n})",  # its text types ignore spaces at the end
        "blob": "LONGBLOB",
        "engine": " ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
        "table": " ENGINE=InnoDB ROW_FORMAT=DYNAMIC",
        "if:number": "",  # it has no partial indexes
    },
    fault=mysql.fault,
    shared=True,
    transactional_schema=False,
    consistent=(
        "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    ),
    lock="SELECT GET_LOCK('kmsd', 300)",
    unlock="SELECT RELEASE_LOCK('kmsd')",
    be_patient=mysql.be_patient,
)

_LARGEST_LIST = 512
_LARGEST_BYTES = 4 << 20


class Transaction:
    """What a unit of work may do with a connection: plain statements with bound values."""

    def __init__(self, cursor: Cursor, dialect: Dialect) -> None:
        self.dialect = dialect
        self._cursor = cursor

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Run a SELECT."""
        self._cursor.execute(spelled(statement, self.dialect.mark), values)
        return list(self._cursor.fetchall())

    def run(self, statement: str, *values: Any) -> int:
        """Run a statement that changes rows; return how many it found."""
        self._cursor.execute(spelled(statement, self.dialect.mark), values)
        return self._cursor.rowcount

    def rows_of(self, statement: str, keys: list[str]) -> list[tuple[Any, ...]]:
        """Run a SELECT whose `(??)` stands for the list of `keys`, in as many parts as needed."""
        found = []
        for start in range(0, len(keys), _LARGEST_LIST):
            part = keys[start : start + _LARGEST_LIST]
            size = 1 << (len(part) - 1).bit_length()  # few sizes: drivers keep statements prepared
            part += part[-1:] * (size - len(part))
            found += self.rows(_expanded(statement, "(??)", f"({_marks(size)})"), *part)
        return found

    def insert(self, statement: str, rows: list[tuple[Any, ...]]) -> None:
        """Run an INSERT whose `(??)` stands for all the `rows`."""
        if not self.dialect.shared and rows:  # no line to cross: row by row is the fastest
            row = f"({_marks(len(rows[0]))})"
            self._cursor.executemany(_expanded(statement, "(??)", row), rows)
            return
        for part in _portions(rows):
            row = f"({_marks(len(part[0]))})"
            values = [value for each in part for value in each]
            self.run(_expanded(statement, "(??)", ", ".join([row] * len(part))), *values)


def _portions(rows: list[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    """Cut rows into lists that a server takes as one statement."""
    part: list[tuple[Any, ...]] = []
    size = 0
    for each in rows:
        own = sum(len(value) for value in each if isinstance(value, bytes))
        if part and (len(part) == _LARGEST_LIST or size + own > _LARGEST_BYTES):
            yield part
            part, size = [], 0
        part.append(each)
        size += own
    if part:
        yield part


@functools.lru_cache(1024)
def spelled(statement: str, mark: str) -> str:
    """Return a statement with the driver's marks for bound values."""
    return statement.replace("?", mark)


@functools.lru_cache(1024)
def _expanded(statement: str, hole: str, filling: str) -> str:
    return statement.replace(hole, filling)


def _marks(count: int) -> str:
    return ", ".join("?" * count)
