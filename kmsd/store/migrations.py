"""The schema, as numbered steps that are applied at start-up before anything listens.

A step that was ever released is never changed: a new step is added. Names in braces are the
dialect's types.
"""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from kmsd.store.dialects import Dialect, Transaction
from kmsd.store.faults import Fault
from kmsd.store.interfaces import StoreRefused
from kmsd.store.session import Source


class Migration(msgspec.Struct, frozen=True):
    """One step."""

    number: int
    statements: tuple[str, ...]


MIGRATIONS = (
    Migration(
        1,
        (
            """CREATE TABLE objects (
                uid {text:128} NOT NULL PRIMARY KEY,
                owner {text:255} NOT NULL,
                object_type BIGINT,
                cryptographic_algorithm BIGINT,
                cryptographic_length BIGINT,
                state BIGINT NOT NULL,
                activation_date BIGINT,
                deactivation_date BIGINT,
                process_start_date BIGINT,
                protect_stop_date BIGINT,
                initial_date BIGINT,
                original_creation_date BIGINT,
                last_change_date BIGINT,
                archive_date BIGINT,
                compromise_date BIGINT,
                compromise_occurrence_date BIGINT,
                destroy_date BIGINT,
                rotate_date BIGINT,
                version BIGINT NOT NULL,
                attributes {blob} NOT NULL,
                object {blob}
            ){engine}""",
            """CREATE INDEX objects_by_owner ON objects
                (owner, uid)""",
            """CREATE INDEX objects_by_kind ON objects
                (owner, object_type, uid, state, activation_date, deactivation_date)""",
            """CREATE INDEX objects_by_algorithm ON objects
                (owner, cryptographic_algorithm, cryptographic_length, object_type, state, uid,
                 activation_date, deactivation_date)""",
            """CREATE TABLE labels (
                name {text:255} NOT NULL,
                value {text:255} NOT NULL,
                uid {text:128} NOT NULL,
                number BIGINT,
                PRIMARY KEY (name, value, uid)
            ){table}""",
            "CREATE INDEX labels_by_uid ON labels (uid)",
            "CREATE INDEX labels_by_number ON labels (name, number, uid){if:number}",
            """CREATE TABLE grants (
                uid {text:128} NOT NULL,
                grantee {text:255} NOT NULL,
                operation {text:64} NOT NULL,
                PRIMARY KEY (uid, grantee, operation)
            ){table}""",
            "CREATE INDEX grants_by_grantee ON grants (grantee, uid)",
            """CREATE TABLE counters (
                uid {text:128} NOT NULL,
                name {text:64} NOT NULL,
                value BIGINT NOT NULL,
                PRIMARY KEY (uid, name)
            ){table}""",
            """CREATE TABLE commits (
                marker {text:64} NOT NULL PRIMARY KEY,
                committed_at BIGINT NOT NULL
            ){table}""",
            "CREATE INDEX commits_by_time ON commits (committed_at)",
        ),
    ),
    Migration(
        2,
        (
            """CREATE TABLE api_tokens (
                token_id {text:64} NOT NULL PRIMARY KEY,
                user_name {text:255} NOT NULL,
                name {text:255} NOT NULL,
                digest {text:64} NOT NULL,
                operations {blob},
                created_at BIGINT NOT NULL,
                expires_at BIGINT,
                last_used_at BIGINT,
                revoked_at BIGINT
            ){engine}""",
            "CREATE INDEX api_tokens_by_user ON api_tokens (user_name, name)",
        ),
    ),
)

TABLES = ("labels", "grants", "counters", "objects")
"""What `--clear-database` empties."""

_VERSIONS = """CREATE TABLE IF NOT EXISTS schema_version (
    number BIGINT NOT NULL PRIMARY KEY, applied_at BIGINT NOT NULL){engine}"""


def apply(
    connection: Any,
    dialect: Dialect,
    *,
    back_up: Callable[[int], None] = lambda _number: None,
    clear: bool = False,
    migrations: tuple[Migration, ...] = MIGRATIONS,
) -> None:
    """Bring the schema up to date, while every other server waits.

    `back_up` is called with the present number before an existing schema is changed.

    Raises:
        StoreRefused: the schema is newer than this program, or not its own.
    """
    transaction = Transaction(connection.cursor(), dialect)
    if not clear and _is_current(transaction, migrations):
        return
    dialect.be_patient(connection)
    if dialect.lock:
        transaction.rows(dialect.lock)
    try:
        transaction.run(dialect.exclusive)
        try:
            _bring_up(transaction, migrations, back_up)
            if clear:
                _clear(transaction)
            transaction.run("COMMIT")
        except BaseException:
            with contextlib.suppress(Exception):
                transaction.run("ROLLBACK")
            raise
    finally:
        if dialect.unlock:
            transaction.rows(dialect.unlock)


def _is_current(transaction: Transaction, migrations: tuple[Migration, ...]) -> bool:
    """Tell without a lock, and without writing, whether there is nothing to do."""
    if not _exists(transaction, "schema_version"):
        return False
    [(number,)] = transaction.rows("SELECT MAX(number) FROM schema_version")
    return bool(number == migrations[-1].number)


def _bring_up(
    transaction: Transaction,
    migrations: tuple[Migration, ...],
    back_up: Callable[[int], None],
) -> None:
    present = _present(transaction)
    latest = migrations[-1].number
    if present > latest:
        raise StoreRefused(
            f"the database has schema {present} and this kmsd knows only up to {latest}:"
            " use the newer kmsd that made it, or restore a backup"
        )
    if 0 < present < latest:
        back_up(present)
    for migration in migrations:
        if migration.number > present:
            for statement in migration.statements:
                _change_schema(transaction, statement)
            transaction.run(
                "INSERT INTO schema_version (number, applied_at) VALUES (?, ?)",
                migration.number,
                int(time.time()),
            )


def _present(transaction: Transaction) -> int:
    """Return the number of the last step that was applied, 0 for an empty database."""
    if not _exists(transaction, "schema_version"):
        if _exists(transaction, "objects"):
            raise StoreRefused(
                "the database has a table `objects` that kmsd did not make:"
                " give kmsd a database of its own"
            )
        _change_schema(transaction, _VERSIONS)
    [(number,)] = transaction.rows("SELECT MAX(number) FROM schema_version")
    return number or 0


_EXISTS = {
    "sqlite": "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?",
    "sqlite-enc": "SELECT COUNT(*) FROM sqlite_master WHERE type = 'table' AND name = ?",
    "postgresql": "SELECT COUNT(*) FROM information_schema.tables"
    " WHERE table_schema = current_schema() AND table_name = ?",
    "mysql": "SELECT COUNT(*) FROM information_schema.tables"
    " WHERE table_schema = DATABASE() AND table_name = ?",
}


def _exists(transaction: Transaction, table: str) -> bool:
    [(count,)] = transaction.rows(_EXISTS[transaction.dialect.name], table)
    return bool(count)


def _change_schema(transaction: Transaction, statement: str) -> None:
    """Run a statement; where such cannot be rolled back, one done before a crash is passed over."""
    dialect = transaction.dialect
    try:
        transaction.run(_filled(statement, dialect))
    except Exception as error:
        if dialect.transactional_schema or dialect.fault(error) is not Fault.EXISTS:
            raise


def _filled(statement: str, dialect: Dialect) -> str:
    for size in (64, 128, 255):
        column = dialect.types["text"].replace("{n}", str(size))
        statement = statement.replace(f"{{text:{size}}}", column)
    for hole in ("blob", "table", "engine", "if:number"):
        statement = statement.replace(f"{{{hole}}}", dialect.types[hole])
    return statement


def _clear(transaction: Transaction) -> None:
    for table in TABLES:
        transaction.run("DELETE FROM " + table)  # noqa: S608 (our own four names)


def back_up(source: Source, path: Path, number: int) -> None:
    """Copy an SQLite file to `….schema-N` beside it, before its schema is changed.

    An encrypted file's copy is encrypted under the same key.
    """
    target = path.with_name(f"{path.name}.schema-{number}")
    target.unlink(missing_ok=True)
    os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    connection = source.connect()  # not the one that holds the lock: VACUUM needs its own
    try:
        connection.execute("VACUUM INTO ?", (str(target),))
    finally:
        connection.close()
