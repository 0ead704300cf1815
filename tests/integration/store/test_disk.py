"""SQLite on disks that are full or read-only, and with files that are not what they should be."""

import os
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kmsd.store import SQLITE_FILE, Database, open_store
from kmsd.store.cache import CachedStore
from kmsd.store.interfaces import (
    Insert,
    StoreDamaged,
    StoreFull,
    StoreRefused,
    StoreUnavailable,
)
from tests.reactor import ensureDeferred, reactor
from tests.records import key, record

LARGE = key(b"k" * 20_000)


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("needs the right to mount a file system")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB."""
    mount("-t", "tmpfs", "-o", "size=1m,mode=0700", "kmsd-test", str(tmp_path))
    yield tmp_path
    subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def opened(folder: Path) -> CachedStore:
    return open_store(reactor, Database(type="sqlite", path=folder))


async def fill(store: CachedStore) -> list[str]:
    """Write until the disk is full; return the identifiers that were acknowledged."""
    done: list[str] = []

    async def write_on() -> None:
        for number in range(1000):
            await store.write(Insert(record(f"{number:04}", tags=("t",), managed_object=LARGE)))
            done.append(f"{number:04}")

    with pytest.raises(StoreFull, match="disk"):
        await write_on()
    return done


@ensureDeferred
async def test_a_full_disk_stops_writes_only(small_disk: Path) -> None:
    """Reads go on, nothing acknowledged is lost, and with room the same store writes again."""
    store = opened(small_disk)
    done = await fill(store)
    assert len(done) > 5
    store.forget()
    assert sorted(await store.get_many([*done, f"{len(done):04}"])) == done
    with pytest.raises(StoreFull) as caught:
        await store.write(Insert(record("large", managed_object=key(b"k" * 1_000_000))))
    assert caught.value.retry_after_seconds >= 1
    mount("-o", "remount,size=8m", str(small_disk))
    await store.write(Insert(record("after", managed_object=LARGE)))
    assert await store.reserve("a", "uses", 1) == 0
    await store.close()
    with sqlite3.connect(small_disk / SQLITE_FILE) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("SELECT COUNT(*) FROM objects").fetchall() == [(len(done) + 1,)]


def test_a_start_on_a_read_only_disk_is_refused(small_disk: Path) -> None:
    """Starting there fails with one line that names the file and the reason."""
    (small_disk / SQLITE_FILE).touch()
    mount("-o", "remount,ro", str(small_disk))
    with pytest.raises(StoreRefused, match=r"kms\.db: Read-only file system"):
        opened(small_disk)
    with pytest.raises(StoreRefused, match="Read-only file system"):
        opened(small_disk / "missing")


def test_a_start_without_room_is_refused(small_disk: Path) -> None:
    """A new database that does not fit is a clear error."""
    (small_disk / "ballast").write_bytes(b"0" * 1_000_000)
    with pytest.raises(StoreFull):
        opened(small_disk)


@ensureDeferred
async def test_files_and_folders_are_private(tmp_path: Path) -> None:
    """Whatever the umask, files are 0600 and folders 0700; the log and its index too."""
    before = os.umask(0)
    try:
        store = opened(tmp_path / "new" / "folder")
        await store.write(Insert(record("a")))
        files = sorted((tmp_path / "new" / "folder").iterdir())
    finally:
        os.umask(before)
    assert [file.name for file in files] == ["kms.db", "kms.db-shm", "kms.db-wal"]
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    folders = [tmp_path / "new", tmp_path / "new" / "folder"]
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in folders} <= {0o700, 0o777}
    assert stat.S_IMODE(folders[1].stat().st_mode) == 0o700
    await store.close()


def test_links_and_devices_are_refused(tmp_path: Path) -> None:
    """A symbolic link, a pipe or a folder in the place of the file is not followed."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / SQLITE_FILE).symlink_to(victim)
    with pytest.raises(StoreRefused, match="symbolic link"):
        opened(tmp_path)
    (tmp_path / SQLITE_FILE).unlink()
    os.mkfifo(tmp_path / SQLITE_FILE)
    with pytest.raises(StoreRefused, match="not a regular file"):
        opened(tmp_path)
    (tmp_path / SQLITE_FILE).unlink()
    (tmp_path / SQLITE_FILE).mkdir()
    with pytest.raises(StoreRefused, match="Is a directory"):
        opened(tmp_path)
    assert victim.read_text() == "precious"


async def filled(folder: Path) -> Path:
    store = opened(folder)
    await store.write(*(Insert(record(f"{n:04}", managed_object=LARGE)) for n in range(50)))
    await store.close()
    return folder / SQLITE_FILE


@ensureDeferred
async def test_a_damaged_file_is_noticed_at_the_start(tmp_path: Path) -> None:
    """A file whose pages are garbage, cut off or foreign is refused, and is not written to."""
    file = await filled(tmp_path)
    good = file.read_bytes()
    damaged = {
        "page": good[:8192] + b"\xff" * 4096 + good[12288:],
        "cut": good[: len(good) // 2],
        "foreign": b"not a database" * 1000,
    }
    for content in damaged.values():
        file.write_bytes(content)
        with pytest.raises(StoreDamaged, match="restore a backup"):
            opened(tmp_path)
        assert file.read_bytes() == content
    file.write_bytes(good)
    await opened(tmp_path).close()


@ensureDeferred
async def test_damage_while_running_is_an_error_not_a_wrong_answer(tmp_path: Path) -> None:
    """An object whose bytes are no longer TTLV is reported; the others are served."""
    store = opened(tmp_path)
    await store.write(Insert(record("a")), Insert(record("b")), Insert(record("c")))
    with sqlite3.connect(tmp_path / SQLITE_FILE) as connection:
        connection.execute("UPDATE objects SET object = ? WHERE uid = 'b'", (b"garbage",))
        connection.execute("UPDATE objects SET object = ? WHERE uid = 'c'", (b"\x42\0\x8f\x01",))
    assert await store.get("a")
    for uid in "bc":
        with pytest.raises(StoreDamaged, match=f"'{uid}'"):
            await store.get(uid)
    with pytest.raises(StoreDamaged):
        await store.get_many(["a", "b"])
    await store.close()


@ensureDeferred
async def test_a_file_that_is_taken_away(tmp_path: Path) -> None:
    """A database whose file disappears before it is opened again is unavailable, and says why."""
    store = opened(tmp_path)
    (tmp_path / SQLITE_FILE).rename(tmp_path / "elsewhere")
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        await store.get("a")
    (tmp_path / "elsewhere").rename(tmp_path / SQLITE_FILE)
    assert await store.get("a") is None
    await store.close()


@ensureDeferred
async def test_another_process_that_holds_the_lock(tmp_path: Path) -> None:
    """Writes fail with a retry time while somebody else writes for long, and reads go on."""
    store = opened(tmp_path)
    await store.write(Insert(record("a")))
    store.forget()
    other = sqlite3.connect(tmp_path / SQLITE_FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="another transaction"):
        await store.write(Insert(record("b")))
    assert await store.get("a")
    other.execute("ROLLBACK")
    other.close()
    await store.write(Insert(record("b")))
    await store.close()
