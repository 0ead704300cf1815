"""SQLite and SQLCipher: opening their files, and what their errors mean."""

import os
import sqlite3
import stat
from pathlib import Path
from typing import Any

from kmsd.store.faults import Fault
from kmsd.store.interfaces import StoreDamaged, StoreRefused

_BUSY_SECONDS = 2.0
_KEY_BYTES = 32
_CHECKED_BYTES = 64 << 20
_PRAGMAS = (
    "PRAGMA synchronous = FULL",
    "PRAGMA cache_size = -16384",  # KiB, negative by SQLite's convention
    "PRAGMA wal_autocheckpoint = 4000",  # pages: 16 MiB, so that a page is often moved only once
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
)

# Primary result codes, https://www.sqlite.org/rescode.html
_FAULTS = {
    sqlite3.SQLITE_BUSY: Fault.BUSY,
    sqlite3.SQLITE_LOCKED: Fault.BUSY,
    sqlite3.SQLITE_PROTOCOL: Fault.BUSY,
    sqlite3.SQLITE_SCHEMA: Fault.BUSY,
    sqlite3.SQLITE_IOERR: Fault.GONE,
    sqlite3.SQLITE_CANTOPEN: Fault.SHUT,
    sqlite3.SQLITE_FULL: Fault.FULL,
    sqlite3.SQLITE_READONLY: Fault.READ_ONLY,
    sqlite3.SQLITE_PERM: Fault.READ_ONLY,
    sqlite3.SQLITE_CORRUPT: Fault.DAMAGED,
    sqlite3.SQLITE_NOTADB: Fault.DAMAGED,
}
_IOERR_SHMSIZE = sqlite3.SQLITE_IOERR_SHMSIZE  # no room for the shared memory of the WAL
_DBMOVED = sqlite3.SQLITE_READONLY_DBMOVED


def fault(error: Exception) -> Fault:
    """Tell what a driver's error means. SQLCipher's driver has its own classes, the same codes."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is None:
        return Fault.GONE if "closed database" in str(error) else Fault.OTHER
    if "UNIQUE constraint" in str(error):  # SQLCipher's driver gives no extended codes
        return Fault.TAKEN
    if code == _IOERR_SHMSIZE:
        return Fault.FULL
    if code == _DBMOVED:
        return Fault.GONE
    return _FAULTS.get(code & 0xFF, Fault.OTHER)


def connect(path: Path) -> Any:
    """Open an SQLite file for reading and writing; it must exist (see `create`)."""
    return _prepared(
        sqlite3.connect(
            _uri(path),
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
    )


def connect_unchanged(path: Path, key: bytes | None = None) -> Any:
    """Open a file that nobody writes to, encrypted if there is a key, without touching anything."""
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    if key is not None:
        return _unlocked(uri, key)
    return sqlite3.connect(uri, uri=True, isolation_level=None)


def connect_encrypted(path: Path, key: bytes) -> Any:
    """Open an SQLCipher file with its raw 32-byte key, which spares the 117 ms of a passphrase.

    Raises:
        sqlcipher3.dbapi2.DatabaseError: the key is wrong ("file is not a database").
    """
    return _prepared(_unlocked(_uri(path), key))


def _unlocked(uri: str, key: bytes) -> Any:
    from sqlcipher3 import dbapi2

    if len(key) != _KEY_BYTES:  # anything else would silently be taken for a passphrase
        raise ValueError("an SQLCipher key has 32 bytes")
    connection = dbapi2.connect(
        uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    try:
        connection.execute("PRAGMA cipher_log_level = NONE")  # it would write to stderr
        # A PRAGMA takes no bound parameters; these are 64 hexadecimal digits of our own making.
        connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
        connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    except Exception:
        connection.close()
        raise
    return connection


def _prepared(connection: Any) -> Any:
    """Set up a new connection, or close it."""
    try:
        _write_ahead(connection)
        for pragma in _PRAGMAS:
            connection.execute(pragma)
    except Exception:
        connection.close()
        raise
    return connection


def _write_ahead(connection: Any) -> None:
    """Keep a write-ahead log. Raises: StoreRefused, where SQLite cannot share memory."""
    if connection.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
        raise StoreRefused("the folder of the database must be on a local file system")


def _uri(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=rw"


def create(path: Path) -> None:
    """Make an empty private file where there is none, and its folder.

    Raises:
        StoreRefused: the file or folder cannot be made or written, or is not what it should be.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise StoreRefused(f"cannot open the database {path}: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise StoreRefused(f"the database {path} is not a regular file")
    finally:
        os.close(descriptor)


def check(connection: Any, path: Path) -> None:
    """Look for damage in a file that is not too large to be read at start-up.

    Raises:
        StoreDamaged: there is some.
    """
    if path.stat().st_size <= _CHECKED_BYTES:
        [(result,)] = connection.execute("PRAGMA quick_check(1)").fetchall()
        if result != "ok":
            raise StoreDamaged(f"the database {path} is damaged: restore a backup")
