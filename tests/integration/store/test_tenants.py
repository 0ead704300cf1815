"""Encrypted databases, one per tenant: opened by their secret only, bounded, private on disk."""

import base64
import os
import secrets
import sqlite3
import stat
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, gatherResults
from twisted.internet.task import deferLater

from kmsd.store import open_tenants, secret, sqlite
from kmsd.store.encrypted import Tenants
from kmsd.store.interfaces import (
    Insert,
    IStore,
    Query,
    Replace,
    SecretRefused,
    StoreDamaged,
    StoreFull,
    StoreRefused,
)
from kmsd.store.secret import Secret
from tests.integration.store.test_disk import small_disk
from tests.reactor import async_fixture, ensureDeferred, reactor
from tests.records import changed, key, record

__all__ = ["small_disk"]

MARKED = b"MARKED-KEY-MATERIAL-MARKED-KEY-M"


@async_fixture
async def tenants(tmp_path: Path) -> AsyncIterator[Tenants]:
    opened = Tenants(reactor, tmp_path, capacity=5, refusal_seconds=0.05)
    yield opened
    await opened.close()


async def names(store: IStore) -> list[str]:
    return list((await store.find(Query())).unique_identifiers)


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder, by name."""
    return {file.name: file.read_bytes() for file in folder.iterdir() if not file.is_symlink()}


def descriptors(folder: Path) -> int:
    """Return how many files of `folder` this process has open."""
    count = 0
    for each in Path("/proc/self/fd").iterdir():
        try:
            count += each.readlink().is_relative_to(folder)
        except FileNotFoundError:
            continue
    return count


@ensureDeferred
async def test_each_secret_opens_its_own_database(tenants: Tenants, tmp_path: Path) -> None:
    """Two tenants see their own objects only, before and after a restart."""
    texts = [await tenants.create() for _ in range(2)]
    for number, text in enumerate(texts):
        store = await tenants.select(text)
        await store.write(Insert(record(f"of {number}")))
    again = open_tenants(reactor, tmp_path)
    for opened in (tenants, again):
        for number, text in enumerate(texts):
            assert await names(await opened.select(text)) == [f"of {number}"]
    await again.close()
    files = {name for name in contents(tmp_path) if name.endswith(".sqlite")}
    assert files == {secret.read(text).file_name for text in texts}


@ensureDeferred
async def test_an_open_database_is_selected_without_waiting(tenants: Tenants) -> None:
    """The second selection of a tenant completes at the first step, and is the same store."""
    text = await tenants.create()
    store = await tenants.select(text)
    named = secret.read(text)
    array = list(named.group.to_bytes(16) + named.key)
    for spelling in (text, base64.b64encode(str(array).encode()).decode()):
        with pytest.raises(StopIteration) as done:
            tenants.select(spelling).send(None)
        assert done.value.value is store


@ensureDeferred
async def test_all_refusals_are_one(tenants: Tenants, tmp_path: Path) -> None:
    """Missing, malformed, unknown, wrong, wrong while open: the same error, in the same time."""
    text = await tenants.create()
    named = secret.read(text)
    wrong = secret.written(Secret(named.group, secrets.token_bytes(32)))
    unopened = secret.read(await tenants.create())
    empty = secret.new()
    (tmp_path / empty.file_name).touch()
    linked = secret.new()
    (tmp_path / linked.file_name).symlink_to(tmp_path / named.file_name)
    attempts = {
        "missing": None,
        "malformed": "x" * 20,
        "unknown": secret.written(secret.new()),
        "wrong": wrong,
        "wrong, never opened": secret.written(Secret(unopened.group, secrets.token_bytes(32))),
        "of an empty file": secret.written(empty),
        "of a link": secret.written(Secret(linked.group, named.key)),
    }
    await tenants.select(text)
    said, took = set(), {}
    for name, attempt in attempts.items():
        begun = time.monotonic()
        with pytest.raises(SecretRefused) as caught:
            await tenants.select(attempt)
        took[name] = time.monotonic() - begun
        said.add(str(caught.value))
    assert len(said) == 1
    assert min(took.values()) >= 0.05
    assert max(took.values()) - min(took.values()) < 0.04
    assert await names(await tenants.select(text)) == []


@ensureDeferred
async def test_a_wrong_key_never_reaches_an_open_database(tenants: Tenants) -> None:
    """Among thousands of selections at once every wrong key is refused, every right one served."""
    texts = [await tenants.create() for _ in range(8)]
    for number, text in enumerate(texts):
        await (await tenants.select(text)).write(Insert(record(f"of {number}")))

    async def right(number: int) -> None:
        store = await tenants.select(texts[number % 8])
        assert await names(store) == [f"of {number % 8}"]

    async def wrong(number: int) -> None:
        named = secret.read(texts[number % 8])
        with pytest.raises(SecretRefused):
            await tenants.select(secret.written(Secret(named.group, secrets.token_bytes(32))))

    await gatherResults(
        [Deferred.fromCoroutine((wrong if n % 3 else right)(n)) for n in range(600)]
    )


@ensureDeferred
async def test_open_databases_are_bounded(tenants: Tenants, tmp_path: Path) -> None:
    """However many tenants there are, no more stay open than allowed; all are served."""
    texts = [await tenants.create() for _ in range(20)]
    for text in texts * 2:
        store = await tenants.select(text)
        await store.reserve("a", "count", 1)
    await deferLater(reactor, 0.1)
    assert descriptors(tmp_path) <= 3 * 5
    assert [await (await tenants.select(text)).reserve("a", "count", 0) for text in texts] == [
        2
    ] * 20


@ensureDeferred
async def test_a_store_in_use_outlives_its_place(tenants: Tenants) -> None:
    """A handle that was put out for others still works, and shares its cache with the next one."""
    texts = [await tenants.create() for _ in range(8)]
    first = await tenants.select(texts[0])
    await first.write(Insert(record("a")))
    for text in texts[1:]:
        await (await tenants.select(text)).get("a")
    again = await tenants.select(texts[0])
    assert again is first
    found = await again.get("a")
    assert found
    await first.write(Replace(changed(found, comment="new")))
    found = await again.get("a")
    assert found
    assert found.attributes.comment == "new"


@ensureDeferred
async def test_idle_databases_are_closed(tmp_path: Path) -> None:
    """What nobody uses for a while is closed, and opens again when it is used."""
    tenants = Tenants(reactor, tmp_path, idle_seconds=0.3)
    texts = [await tenants.create() for _ in range(2)]
    for text in texts:
        await (await tenants.select(text)).write(Insert(record("a")))
    assert descriptors(tmp_path) == 6
    for _ in range(4):
        await deferLater(reactor, 0.15)
        await (await tenants.select(texts[0])).find(Query())
    assert descriptors(tmp_path) == 3
    await deferLater(reactor, 0.5)
    assert descriptors(tmp_path) == 0
    assert await names(await tenants.select(texts[1])) == ["a"]
    await tenants.close()


@ensureDeferred
async def test_the_files_hold_no_plaintext(tenants: Tenants, tmp_path: Path) -> None:
    """Neither database nor log shows a key, a name, an identifier or SQLite's own header."""
    text = await tenants.create()
    store = await tenants.select(text)
    for number in range(30):
        new = record(f"marked-uid-{number}", tags=("marked-tag",), managed_object=key(MARKED))
        await store.write(Insert(new))
    files = contents(tmp_path)
    assert any(name.endswith("-wal") and content for name, content in files.items())
    for content in files.values():
        for word in (MARKED, b"marked-uid", b"marked-tag", b"SQLite format 3", b"CREATE TABLE"):
            assert word not in content
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in files}
    assert modes == {0o600}
    assert secret.read(text).key.hex().encode() not in b"".join(files.values())


@ensureDeferred
async def test_damage_hurts_one_tenant(tenants: Tenants, tmp_path: Path) -> None:
    """A flipped byte is noticed, as an error of that tenant; the neighbour is served."""
    texts = [await tenants.create() for _ in range(2)]
    for text in texts:
        store = await tenants.select(text)
        await store.write(*(Insert(record(f"{n:03}")) for n in range(200)))
    await tenants.close()
    file = tmp_path / secret.read(texts[0]).file_name
    content = bytearray(file.read_bytes())
    for page in range(2, len(content) // 4096):
        content[page * 4096 + 100] ^= 1
    file.write_bytes(content)
    again = open_tenants(reactor, tmp_path)
    with pytest.raises(StoreDamaged):
        await (await again.select(texts[0])).find(Query())
    assert len(await names(await again.select(texts[1]))) == 200
    await again.close()
    content[50] ^= 1  # now the first page, too: it cannot be told from a wrong key
    file.write_bytes(content)
    third = open_tenants(reactor, tmp_path)
    with pytest.raises(SecretRefused):
        await third.select(texts[0])
    await third.close()


@ensureDeferred
async def test_what_a_dead_process_left_is_swept(tmp_path: Path) -> None:
    """A database whose making was cut short is not usable, and goes when it is old."""
    old, young = tmp_path / "1.sqlite.new", tmp_path / "2.sqlite.new-wal"
    for path in (old, young, tmp_path / "3.sqlite"):
        path.write_bytes(b"x")
    os.utime(old, (1, 1))
    os.utime(tmp_path / "3.sqlite", (1, 1))
    await open_tenants(reactor, tmp_path).close()
    assert sorted(contents(tmp_path)) == ["2.sqlite.new-wal", "3.sqlite"]


@ensureDeferred
async def test_a_full_disk_makes_no_database(small_disk: Path) -> None:
    """Making one without room fails clearly and leaves nothing behind; with room it works."""
    tenants = open_tenants(reactor, small_disk)
    (small_disk / "ballast").write_bytes(b"0" * 950_000)
    with pytest.raises(StoreFull):
        await tenants.create()
    assert list(contents(small_disk)) == ["ballast"]
    (small_disk / "ballast").unlink()
    assert await tenants.select(await tenants.create())
    await tenants.close()


@ensureDeferred
async def test_many_ask_for_one_database_at_once(tenants: Tenants) -> None:
    """It is opened once for all, and whoever stops waiting does not stop the others."""
    text = await tenants.create()
    asking = [Deferred.fromCoroutine(tenants.select(text)) for _ in range(10)]
    asking[0].cancel()
    asking[0].addErrback(lambda failure: failure.trap(CancelledError))
    found = await gatherResults(asking[1:])
    assert len(set(map(id, found))) == 1
    wrong = secret.written(Secret(secret.read(text).group, secrets.token_bytes(32)))
    refused = [Deferred.fromCoroutine(tenants.select(wrong)) for _ in range(3)]
    for each in refused:
        with pytest.raises(SecretRefused):
            await each


@ensureDeferred
async def test_a_tenant_can_be_cleared(tmp_path: Path) -> None:
    """With `clear` each database is emptied when the process opens it first, and only then."""
    tenants = open_tenants(reactor, tmp_path)
    text = await tenants.create()
    await (await tenants.select(text)).write(Insert(record("old")))
    await tenants.close()
    tenants = open_tenants(reactor, tmp_path, clear=True, several_processes=True)
    store: Any = await tenants.select(text)
    assert await names(store) == []
    await store.write(Insert(record("new")))
    await store.close()
    del store
    await tenants.close()
    again = Tenants(reactor, tmp_path, capacity=1)
    assert await names(await again.select(text)) == ["new"]
    await again.close()


def test_a_folder_that_cannot_be_used(tmp_path: Path) -> None:
    """A file in its place is refused with its name."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreRefused, match="file"):
        open_tenants(reactor, tmp_path / "file")


@ensureDeferred
async def test_a_schema_of_the_future_is_no_wrong_secret(tenants: Tenants, tmp_path: Path) -> None:
    """A tenant's database that a newer kmsd upgraded says so."""
    named = secret.read(await tenants.create())
    connection = sqlite.connect_encrypted(tmp_path / named.file_name, named.key)
    connection.execute("INSERT INTO schema_version VALUES (99, 0)")
    connection.close()
    with pytest.raises(StoreRefused, match="schema 99"):
        await tenants.select(secret.written(named))


def test_only_raw_keys_open_a_file(tmp_path: Path) -> None:
    """Keys of another length, which would be passphrases, are refused; no other key works."""
    file = tmp_path / "1.sqlite"
    sqlite.create(file)
    for length in (0, 16, 31, 33, 64):
        with pytest.raises(ValueError, match="32 bytes"):
            sqlite.connect_encrypted(file, b"k" * length)
    connection = sqlite.connect_encrypted(file, b"k" * 32)
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    with pytest.raises(Exception, match="not a database"):
        sqlite.connect_encrypted(file, b"l" * 32)
    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        sqlite.connect(file)
