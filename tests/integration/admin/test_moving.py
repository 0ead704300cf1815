"""`kmsd-admin`: between any two databases, interrupted and resumed, online backups, refusals."""

import contextlib
import os
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from kmsd.admin.main import cli
from kmsd.admin.moving import Progress
from kmsd.admin.places import Access, of_url
from kmsd.kmip.enums import State
from kmsd.store import copying, prepare, secret, sql, sqlite
from kmsd.store.dialects import Transaction
from kmsd.store.interfaces import Insert, Record, Replace
from kmsd.store.rows import text
from kmsd.store.session import Session, Source, Unit
from tests.databases import MariaDB, PostgreSQL
from tests.integration.store.conftest import KINDS, empty, mariadb, postgresql
from tests.records import changed, record

__all__ = ["empty", "mariadb", "postgresql"]

Named = tuple[str, str]  # a URL and a secret


@pytest.fixture
def named(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Named]:
    """A function from a kind of database to the URL and secret of a new one."""

    def make(kind: str) -> Named:
        if kind in {"postgresql", "mysql"}:
            server: PostgreSQL | MariaDB = request.getfixturevalue(
                "postgresql" if kind == "postgresql" else "mariadb"
            )
            return server.new_url(), ""
        folder = tmp_path_factory.mktemp("admin")
        return f"{kind}://{folder}", secret.written(secret.new()) if "enc" in kind else ""

    return make


def source(named: Named) -> Source:
    place = of_url(named[0], Access(secret=named[1]), make=True)
    prepare(place.source)
    return place.source


def run(*arguments: str, environ: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(cli, arguments, env=environ or {}, catch_exceptions=False)


def migrate(origin: Named, target: Named, *more: str) -> Result:
    environ = {"KMSD_ADMIN_FROM_SECRET": origin[1], "KMSD_ADMIN_TO_SECRET": target[1]}
    return run("migrate", "--from", origin[0], "--to", target[0], *more, environ=environ)


def work(source: Source, *functions: Callable[[Transaction], Any]) -> None:
    session = Session(source)
    units = [Unit(function) for function in functions]
    session.write(units)
    session.close()
    assert [unit.error for unit in units] == [None] * len(units)


def insert(*records: Record) -> Callable[[Transaction], None]:
    def run(transaction: Transaction) -> None:
        for each in records:
            sql._step(Insert(each))(transaction)

    return run


def filled(source: Source, count: int = 230) -> None:
    """Fill a database with objects of several versions and states, rights and counters."""
    texts = ["é ñ", "quote ' \" %s ?", "🔑", "end "]
    records = [
        record(f"{n:04}", f"owner {n % 7}", tags=(f"t{n % 5}",), names=(texts[n % 4],))
        for n in range(count)
    ]
    records.append(record("*odd*", state=State.COMPROMISED, tags=("x" * 400,)))
    work(source, insert(*records))
    first = msgspec.structs.replace(records[0], version=1)
    work(
        source,
        sql._step(Replace(changed(first, comment="second version"))),
        lambda transaction: sql._grant(transaction, "0001", "bob", frozenset({"get", "encrypt"})),
        lambda transaction: sql._grant(transaction, "*", "carol", frozenset({"create"})),
        lambda transaction: sql._reserve(transaction, "0002", "uses", 42),
        sql._step(Replace(msgspec.structs.replace(records[2], version=1, managed_object=None))),
    )


def content(source: Source) -> tuple[Any, ...]:
    with contextlib.closing(source.connect()) as connection:
        reading = Transaction(connection.cursor(), source.dialect)
        labels = reading.rows("SELECT uid, name, value, number FROM labels")
        return (
            sql.after(reading, "", 100_000),
            sql.grants_of(reading, "*"),
            sorted(copying._counters(reading)),
            sorted((text(a), text(b), text(c), d or 0) for a, b, c, d in labels),
        )


@pytest.mark.parametrize("to", KINDS)
@pytest.mark.parametrize("of", KINDS)
def test_between_any_two_databases(of: str, to: str, named: Callable[[str], Named]) -> None:
    """Objects with their versions and labels, rights and counters arrive; nothing else does."""
    origin, target = named(of), named(to)
    there = source(origin)
    filled(there)
    result = migrate(origin, target)
    assert result.exit_code == 0, result.stderr
    assert "verified 231 of 231 objects (100 %)" in result.stderr
    assert content(source(target)) == content(there)
    for word in ("p@ss", "%40", *filter(None, (origin[1], target[1]))):
        assert word not in result.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_an_interrupted_copy_goes_on(kind: str, named: Callable[[str], Named]) -> None:
    """After an interruption the same command completes the copy, whatever has changed since."""
    origin, target = named("sqlite"), named(kind)
    there, here = source(origin), source(target)
    filled(there)

    class Interrupted(Exception):  # noqa: N818
        pass

    def stop(phase: str, done: int, total: int) -> None:
        if (phase, done) == ("copied", 200):
            raise Interrupted(total)

    name = f"sqlite:{origin[0].removeprefix('sqlite://')}/kms.db"
    with pytest.raises(Interrupted):
        copying.copy(there, here, name=name, progress=stop)
    assert 100 <= len(content(here)[0]) <= 200
    work(
        there,
        lambda transaction: sql._remove(transaction, "0004", 1),
        lambda transaction: sql._remove(transaction, "0229", 1),
        insert(record("0004", "new owner"), record("0050a"), record("zz")),
        sql._step(Replace(msgspec.structs.replace(record("0005", "other"), version=1))),
        lambda transaction: sql._ungrant(transaction, "0001", "bob", frozenset({"get"})),
    )
    work(here, insert(record("zzz, which nobody has")))
    result = migrate(origin, target)
    assert result.exit_code == 0, result.stderr
    assert content(here) == content(there)
    again = migrate(origin, target)
    assert (again.exit_code, "not empty" in again.stderr) == (1, True)


def test_a_target_with_objects_is_refused(named: Callable[[str], Named]) -> None:
    """Unless told otherwise nothing is added to it; told, only what does not conflict."""
    origin, target = named("sqlite"), named("sqlite")
    there, here = source(origin), source(target)
    filled(there, 150)
    work(here, insert(record("mine")), lambda each: sql._reserve(each, "0002", "uses", 7))
    before = content(here)
    refused = migrate(origin, target)
    assert (refused.exit_code, content(here)) == (1, before)
    assert "not empty: it has 1 objects" in refused.stderr
    merged = migrate(origin, target, "--merge")
    assert merged.exit_code == 0, merged.stderr
    assert [each for each in content(here)[0] if each.unique_identifier != "mine"] == content(
        there
    )[0]
    assert content(here)[2] == [("0002", "uses", 7)]
    assert migrate(origin, target, "--merge").exit_code == 0
    work(there, sql._step(Replace(msgspec.structs.replace(record("0007"), version=1))))
    conflict = migrate(origin, target, "--merge")
    assert (conflict.exit_code, "another object '0007'" in conflict.stderr) == (1, True)


def test_a_copy_of_something_else_is_not_resumed(named: Callable[[str], Named]) -> None:
    """The unfinished copy of one database is no empty target for another."""
    first, second, target = named("sqlite"), named("sqlite"), named("sqlite")
    filled(source(first))
    filled(source(second))

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copying.copy(source(first), source(target), name="first", progress=stop)
    assert migrate(second, target).exit_code == 1


def test_a_difference_is_found(named: Callable[[str], Named]) -> None:
    """What is not the same when it is read back fails the copy, with the object's name."""
    origin, target = named("sqlite"), named("sqlite")
    there, here = source(origin), source(target)
    filled(there, 20)

    def meddle(phase: str, done: int, total: int) -> None:
        if phase == "copied" and done == total:
            work(here, lambda each: each.run("UPDATE objects SET version = 9 WHERE uid = '0011'"))

    with pytest.raises(Exception, match="'0011' differs"):
        copying.copy(there, here, name="x", progress=meddle)


@pytest.mark.parametrize("kind", KINDS)
def test_a_backup_is_of_one_moment_and_can_be_restored(
    kind: str, named: Callable[[str], Named], tmp_path: Path
) -> None:
    """While pairs are written all the time, no backup has half of one; restored, it is the same."""
    origin, target = named(kind), named("postgresql" if kind == "mysql" else kind)
    there = source(origin)
    filled(there)
    stop = threading.Event()

    def write_on() -> None:
        session = Session(there)
        number = 0
        while not stop.is_set():
            number += 1
            # Both ends of the alphabet: the copy reads them at different times.
            pair = [record(f"!{number:06}"), record(f"~{number:06}")]
            session.write([Unit(insert(*pair))])
            time.sleep(0.002)
        session.close()

    writer = threading.Thread(target=write_on)
    writer.start()
    file = tmp_path / "backup"
    environ = {"KMSD_ADMIN_SECRET": origin[1]}
    time.sleep(0.3)
    result = run("backup", str(file), "--database", origin[0], environ=environ)
    stop.set()
    writer.join()
    assert result.exit_code == 0, result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert (b"SQLite format 3" in file.read_bytes()) == (kind != "sqlite-enc")
    file.chmod(0o400)
    before = file.read_bytes()
    restored = run("restore", str(file), "--database", target[0], environ={
        "KMSD_ADMIN_SECRET": origin[1],
    })  # fmt: skip
    assert restored.exit_code == 0, restored.stderr
    assert file.read_bytes() == before
    target = (target[0], origin[1])
    uids = {each.unique_identifier for each in content(source(target))[0]}
    low = {uid[1:] for uid in uids if uid[0] == "!"}
    assert low == {uid[1:] for uid in uids if uid[0] == "~"}
    assert len(low) > 5
    assert len({uid for uid in uids if uid[0] not in "!~"}) == 231


def test_a_backup_is_never_written_over(named: Callable[[str], Named], tmp_path: Path) -> None:
    """An existing file is left alone; an unfinished one of before is not in the way."""
    origin = named("sqlite")
    filled(source(origin), 3)
    file = tmp_path / "backup"
    file.write_text("precious")
    refused = run("backup", str(file), "--database", origin[0])
    assert (refused.exit_code, file.read_text()) == (1, "precious")
    file.unlink()
    (tmp_path / "backup.unfinished").write_text("garbage")
    assert run("backup", str(file), "--database", origin[0]).exit_code == 0
    assert [path.name for path in tmp_path.iterdir()] == ["backup"]


def test_the_servers_own_database(named: Callable[[str], Named], tmp_path: Path) -> None:
    """Without --database the command uses what the server's variables name."""
    url, key = named("sqlite-enc")
    folder = url.removeprefix("sqlite-enc://")
    filled(source((url, key)), 5)
    settings = {
        "encrypted": {"KMS_DATABASE_TYPE": "sqlite-enc", "KMS_SQLITE_PATH": folder},
        "plain": {"KMS_SQLITE_PATH": str(tmp_path / "plain")},
        "server": {"KMS_DATABASE_TYPE": "postgresql", "KMS_DATABASE_URL": named("postgresql")[0]},
    }
    (tmp_path / "secret").write_text(f"{key}\n")
    access = ("--secret", f"@{tmp_path}/secret")
    first = run("backup", f"{tmp_path}/1", *access, environ=settings["encrypted"])
    assert first.exit_code == 0, first.stderr
    for kind in ("plain", "server"):
        done = run("restore", f"{tmp_path}/1", *access, environ=settings[kind])
        assert done.exit_code == 0, done.stderr
    assert (tmp_path / "plain" / "kms.db").is_file()
    second = run("backup", f"{tmp_path}/2", environ=settings["server"])
    assert "6 objects" in second.stderr


def test_a_new_encrypted_target_tells_its_secret(named: Callable[[str], Named]) -> None:
    """Without a secret a new database is made, and its secret is all that standard output has."""
    origin, (folder, _) = named("sqlite"), named("sqlite-enc")
    filled(source(origin), 5)
    result = migrate(origin, (folder, ""))
    assert result.exit_code == 0, result.stderr
    printed = result.stdout.strip()
    assert content(source((folder, printed))) == content(source(origin))
    assert printed not in result.stderr


def refusals(folder: Path, named: Callable[[str], Named]) -> dict[str, tuple[list[str], str]]:
    """Return command lines that must fail, with what they say."""
    plain, (enc, key) = named("sqlite"), named("sqlite-enc")
    filled(source(plain), 2)
    filled(source((enc, key)), 2)
    number = secret.read(key).group
    wrong = secret.written(secret.Secret(number, b"w" * 32))
    to = ["--to", f"sqlite://{folder}/target"]
    (folder / "backup").write_bytes(b"SQLite format 3\0" + b"x" * 5000)
    return {
        "unknown scheme": (["migrate", "--from", "redis://h", *to], "begins with sqlite:"),
        "no source": (["migrate", "--from", f"sqlite://{folder}/absent", *to], "no database"),
        "no secret": (["migrate", "--from", enc, *to], "needs its secret"),
        "wrong key": (["migrate", "--from", enc, *to, "--from-secret", wrong], "does not open"),
        "unknown tenant": (
            ["migrate", "--from", enc, *to, "--from-secret", secret.written(secret.new())],
            "opens no database",
        ),
        "no secret file": (
            ["migrate", "--from", enc, *to, "--from-secret", f"@{folder}/none"],
            "cannot read the secret",
        ),
        "itself": (["migrate", "--from", plain[0], "--to", plain[0]], "the same database"),
        "no server": (
            ["migrate", "--from", "postgresql://u:p%40ss@127.0.0.1:1/d", *to],
            "cannot be made (OperationalError, of the source)",
        ),
        "no backup": (["restore", f"{folder}/none", "--database", to[1]], "no backup"),
        "broken backup": (["restore", f"{folder}/backup", "--database", to[1]], "damaged"),
        "not a backup": (["restore", f"{folder}/secret", "--database", to[1]], "no backup"),
        "bad settings": (["backup", f"{folder}/x"], "KMS_DATABASE_TYPE"),
    }


def test_what_cannot_be_done_is_one_line(
    named: Callable[[str], Named], tmp_path: Path, postgresql: PostgreSQL
) -> None:
    """Each mistake is one clear line and exit status 1, without a password or secret."""
    environ = {"KMS_DATABASE_TYPE": "redis"}
    for name, (arguments, says) in refusals(tmp_path, named).items():
        result = run(*arguments, environ=environ)
        assert result.exit_code == 1, (name, result.stderr)
        assert says in result.stderr.splitlines()[-1], (name, result.stderr)
        assert "p@ss" not in result.stderr
        assert "%40" not in result.stderr
    assert postgresql


def test_an_older_schema_is_not_copied(named: Callable[[str], Named], tmp_path: Path) -> None:
    """A source of another schema is refused with the mend."""
    origin = named("sqlite")
    work(source(origin), lambda each: each.run("DELETE FROM schema_version WHERE number > 1"))
    result = migrate(origin, (f"sqlite://{tmp_path}", ""))
    assert (result.exit_code, "brings it up to date" in result.stderr) == (1, True)


def test_damage_is_reported(named: Callable[[str], Named], tmp_path: Path) -> None:
    """An object of the source that cannot be read is named."""
    origin = named("sqlite")
    there = source(origin)
    filled(there, 5)
    work(there, lambda each: each.run("UPDATE objects SET object = x'00' WHERE uid = '0003'"))
    result = migrate(origin, (f"sqlite://{tmp_path}", ""))
    assert (result.exit_code, "'0003' is damaged" in result.stderr) == (1, True)


def test_databases_named_in_other_ways(
    named: Callable[[str], Named], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file instead of its folder, a relative path, an older scheme, settings of the server."""
    monkeypatch.chdir(tmp_path)
    origin = named("sqlite")
    filled(source(origin), 5)
    made = run("migrate", "--from", f"{origin[0]}/kms.db", "--to", "sqlite:here/my.sqlite3")
    assert made.exit_code == 0, made.stderr
    assert (tmp_path / "here" / "my.sqlite3").is_file()
    url = named("postgresql")[0].replace("postgresql://", "postgres://")
    assert run("migrate", "--from", "sqlite:here/my.sqlite3", "--to", url).exit_code == 0
    key = secret.written(secret.new())
    environ = {"KMSD_ADMIN_TO_SECRET": key, "KMSD_ADMIN_FROM_SECRET": key}
    to_file = run("migrate", "--from", url, "--to", "sqlite-enc:my.sqlite", environ=environ)
    assert to_file.exit_code == 0, to_file.stderr
    back = run("migrate", "--from", "sqlite-enc:my.sqlite", "--to", "sqlite:b", environ=environ)
    assert back.exit_code == 0, back.stderr
    assert (tmp_path / "b" / "kms.db").is_file()
    (tmp_path / "damaged.sqlite").write_bytes(b"x" * 5000)
    bad = run("backup", "x", "--database", "sqlite:damaged.sqlite")
    assert (bad.exit_code, "damaged" in bad.stderr) == (1, True)
    assert "Access(…)" in repr(Access(secret=key))


def test_a_file_that_cannot_be_opened_now(
    named: Callable[[str], Named], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fault of the system is not called a wrong secret."""
    url, key = named("sqlite-enc")
    source((url, key))

    def connect(*_: object) -> None:
        error = sqlite3.OperationalError("x")
        error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        raise error

    monkeypatch.setattr(sqlite, "_unlocked", connect)
    result = run("backup", f"{tmp_path}/b", "--database", url, "--secret", key)
    assert (result.exit_code, "cannot be opened" in result.stderr) == (1, True)


def test_long_copies_tell_how_far_they_are() -> None:
    """About once a second, and at the end."""
    said: list[str] = []
    now = [0.0]
    progress = Progress(said.append, lambda: now[0])
    for done in range(0, 1001, 100):
        progress("copied", done, 1000)
        now[0] += 0.3
    assert said == [
        "copied 400 of 1000 objects (40 %)",
        "copied 800 of 1000 objects (80 %)",
        "copied 1000 of 1000 objects (100 %)",
    ]


def test_an_interruption_is_no_error_of_a_database(
    named: Callable[[str], Named], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug is shown as one; it is not turned into a line for the operator."""
    origin, target = named("sqlite"), named("sqlite")
    source(origin)
    monkeypatch.setattr(copying, "_check_schema", lambda _reading: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        migrate(origin, target)


def test_a_bug_is_a_traceback(named: Callable[[str], Named], monkeypatch: Any) -> None:
    """What nobody expected is not called a fault of the database."""
    origin = named("sqlite")
    there = source(origin)
    monkeypatch.setattr(copying, "_check_schema", lambda _reading: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        copying.copy(there, there, name="x")


def test_the_console_script_runs(named: Callable[[str], Named], tmp_path: Path) -> None:
    """In a process of its own, with secrets in the environment; files are private."""
    url, key = named("sqlite-enc")
    filled(source((url, key)), 5)
    done = subprocess.run(
        [sys.executable, "-c", "from kmsd.admin.main import main; main()", "backup",
         f"{tmp_path}/b", "--database", url],
        env={**os.environ, "KMSD_ADMIN_SECRET": key},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    with contextlib.closing(
        sqlite.connect_encrypted(tmp_path / "b", secret.read(key).key)
    ) as connection:
        assert connection.execute("SELECT COUNT(*) FROM objects").fetchall() == [(6,)]
