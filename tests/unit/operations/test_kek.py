"""Objects at rest under a key-encryption key: sealed, opened for a while, sealed anew."""

import base64
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
import pytest_twisted

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    CryptographicAlgorithm,
    ObjectType,
    OpaqueDataType,
    ResultReason,
    State,
)
from kmsd.kmip.objects import OpaqueObject
from kmsd.operations import kek, sealing
from kmsd.operations.destroy import Destroy
from kmsd.operations.encrypt import Encrypt
from kmsd.operations.engine import Engine
from kmsd.operations.get import Get
from kmsd.operations.get_attributes import GetAttributes
from kmsd.operations.locate import Locate
from kmsd.operations.register import Register
from kmsd.operations.rekey import ReKey
from kmsd.operations.sealed_store import SealedStore, check_unsealed
from kmsd.store.interfaces import Replace, StoreDamaged, StoreRefused
from kmsd.ttlv.schema import dump
from tests.server import Kms
from tests.using_keys import known, known_secret, material, pair, revoke

ensure = pytest_twisted.ensureDeferred
ONE, TWO = bytes(range(32)), bytes(range(32, 64))
SECRET = b"an AES key of exactly 32 bytes.."


def salts(count: int) -> bytes:
    """A new salt each time."""
    import os

    return os.urandom(count)


def sealed_by(kms: Kms, ring: kek.Ring, *, capacity: int = 1_000, seconds: float = 900) -> Kms:
    """Put a sealing store before the store of a server."""
    inner = kms.store.store if isinstance(kms.store, SealedStore) else kms.store
    store = SealedStore(inner, ring, kms.clock, lifetime_seconds=seconds, capacity=capacity)
    services = replace(kms.engine.services, keys=store.keys)
    return replace(kms, engine=Engine(services), store=store)


def content(folder: Path) -> bytes:
    """Return all that is in the files of a folder."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def swap(folder: Path, uid: str, other: str) -> None:
    """Put one object's bytes in another's place, as who can write the file might."""
    (path,) = folder.rglob("*.db")
    database = sqlite3.connect(path)
    with database:
        database.execute(
            "UPDATE objects SET object = (SELECT object FROM objects WHERE uid=?) WHERE uid=?",
            (other, uid),
        )
    database.close()


def file_ring(*keys: bytes) -> kek.FileRing:
    return kek.FileRing(keys, salts)


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def sealed(kms: Kms) -> AsyncIterator[Kms]:
    """A server that keeps everything under the KEK `ONE`."""
    yield sealed_by(kms, file_ring(ONE))


def store_of(kms: Kms) -> SealedStore:
    assert isinstance(kms.store, SealedStore)
    return kms.store


@ensure  # type: ignore[untyped-decorator]
async def test_nothing_in_the_database_file_is_in_clear(sealed: Kms, tmp_path: Path) -> None:
    """Keys, secrets and private keys serve as ever; no byte of theirs is in the files."""
    await known(sealed, SECRET)
    await known_secret(sealed, b"correct horse battery staple")
    private, _ = await pair(sealed, CryptographicAlgorithm.ED25519)
    raw = await sealed(Get(unique_identifier=private))
    number = raw.managed_object.key_block.key_value.key_material.d
    assert await material(sealed, "k") == SECRET
    assert await material(sealed, "s") == b"correct horse battery staple"
    written = content(tmp_path)
    assert b"kmsd sealed" in written
    for clear in (SECRET, b"correct horse battery staple", number.to_bytes(32, "big")):
        assert clear not in written
    await sealed(Encrypt(unique_identifier="k", data=b"x"))


@ensure  # type: ignore[untyped-decorator]
async def test_digests_are_sealed_too(sealed: Kms) -> None:
    """The digest of a short password, which gives it away, is told to its owner only."""
    await known_secret(sealed, b"1234")
    stored = await store_of(sealed).store.get("s")
    assert stored is not None
    assert stored.attributes.digest == ()
    told = await sealed(GetAttributes(unique_identifier="s"))
    assert len(told.attributes.digest) == 1


@ensure  # type: ignore[untyped-decorator]
async def test_a_sealed_object_cannot_take_anothers_place(sealed: Kms, tmp_path: Path) -> None:
    """Who can write the database cannot swap two keys without being noticed."""
    await known(sealed, SECRET, uid="mine")
    await known(sealed, bytes(32), uid="weak")
    swap(tmp_path, "mine", "weak")
    again = sealed_by(sealed, file_ring(ONE))
    store_of(again).store.forget()  # type: ignore[attr-defined] # the cache below
    with pytest.raises(StoreDamaged):
        await again.store.get("mine")


@ensure  # type: ignore[untyped-decorator]
async def test_a_lost_kek_is_told_and_nothing_else_breaks(sealed: Kms) -> None:
    """Without the KEK an object does not open; the error says which one is needed."""
    await known(sealed, SECRET)
    other = sealed_by(sealed, file_ring(TWO))
    error = await other.refused(Get(unique_identifier="k"))
    assert error.reason is ResultReason.GENERAL_FAILURE
    assert f"file:{kek.fingerprint(ONE)}" in error.message
    await known(other, bytes(32), uid="new")
    assert await material(other, "new") == bytes(32)


@ensure  # type: ignore[untyped-decorator]
async def test_a_server_without_a_kek_refuses_a_sealed_database(sealed: Kms) -> None:
    """To forget the option is noticed at the start."""
    inner = store_of(sealed).store
    await check_unsealed(inner)
    await known(sealed, SECRET)
    with pytest.raises(kek.KekMissing, match="--kek-file"):
        await check_unsealed(inner)


@ensure  # type: ignore[untyped-decorator]
async def test_what_is_opened_is_remembered_for_a_while(sealed: Kms) -> None:
    """The same record comes back until its time is over, or the object is revoked."""
    await known(sealed, SECRET)
    first = await sealed.store.get("k")
    assert await sealed.store.get("k") is first
    sealed.clock.now += 900
    second = await sealed.store.get("k")
    assert second is not first
    assert second == first
    await revoke(sealed, "k")
    assert "k" not in store_of(sealed)._opened


@ensure  # type: ignore[untyped-decorator]
async def test_prepared_keys_go_with_what_was_opened(sealed: Kms) -> None:
    """A revocation empties the memory of ciphers as well, and so does time."""
    await known(sealed, SECRET)
    keys = store_of(sealed).keys
    await sealed(Encrypt(unique_identifier="k", data=b"x"))
    assert len(keys._entries) == 1
    sealed.clock.now += 900
    store_of(sealed).sweep()
    assert (len(keys._entries), len(store_of(sealed)._opened)) == (0, 0)
    await sealed(Encrypt(unique_identifier="k", data=b"x"))
    await revoke(sealed, "k")
    assert len(keys._entries) == 0


@ensure  # type: ignore[untyped-decorator]
async def test_no_more_is_remembered_than_fits(sealed: Kms) -> None:
    """The longest opened goes first."""
    small = sealed_by(sealed, file_ring(ONE), capacity=2)
    for uid in ("a", "b", "c"):
        await known(small, SECRET, uid=uid)
        await small.store.get(uid)
    assert list(store_of(small)._opened) == ["b", "c"]


@ensure  # type: ignore[untyped-decorator]
async def test_an_unchanged_key_is_not_sealed_again(sealed: Kms) -> None:
    """A change of attributes leaves the sealed bytes as they are; a change of the key does not."""
    await known(sealed, SECRET)
    inner = store_of(sealed).store
    before = await inner.get("k")
    clear = await sealed.store.get("k")
    assert before is not None
    assert clear is not None
    changed = msgspec.structs.replace(clear.attributes, comment="hello")
    await sealed.store.write(Replace(msgspec.structs.replace(clear, attributes=changed)))
    after = await inner.get("k")
    assert after is not None
    assert after.managed_object == before.managed_object
    assert after.attributes.comment == "hello"


@ensure  # type: ignore[untyped-decorator]
async def test_what_looks_sealed_is_not_stored(sealed: Kms) -> None:
    """No client can store bytes that would be taken for a sealed object."""
    forged = OpaqueObject(opaque_data_type=OpaqueDataType.UNKNOWN, opaque_data_value=kek.MAGIC)
    error = await sealed.refused(
        Register(
            object_type=ObjectType.OPAQUE_OBJECT, attributes=Attributes(), managed_object=forged
        )
    )
    assert "looks like a sealed object" in error.message


@ensure  # type: ignore[untyped-decorator]
async def test_a_job_seals_all_anew_and_can_be_resumed(kms: Kms) -> None:
    """Plain objects, then those under an old KEK, come under the new one; done is done."""
    uids = [await known(kms, SECRET, uid=f"k{number}") for number in range(25)]
    reports: list[sealing.Progress] = []
    first = sealed_by(kms, file_ring(ONE))
    done = await sealing.seal_all(store_of(first), reports.append, page=10)
    assert (done.total, done.seen, done.sealed, done.failed) == (25, 25, 25, 0)
    assert [report.seen for report in reports] == [10, 20, 25, 25]
    second = sealed_by(kms, file_ring(TWO, ONE))

    class StoppedError(Exception):
        pass

    def stop(_: sealing.Progress) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        await sealing.seal_all(store_of(second), stop, page=10)
    done = await sealing.seal_all(store_of(second), reports.append, page=10)
    assert (done.sealed, done.finished) == (15, True)
    only_new = sealed_by(kms, file_ring(TWO))
    for uid in uids:
        assert await material(only_new, uid) == SECRET
    assert (await sealing.seal_all(store_of(only_new), reports.append)).sealed == 0


@ensure  # type: ignore[untyped-decorator]
async def test_the_job_counts_what_it_cannot_open(kms: Kms) -> None:
    """An object under a KEK that is gone is left as it is, and told."""
    await known(sealed_by(kms, file_ring(ONE)), SECRET)
    done = await sealing.seal_all(store_of(sealed_by(kms, file_ring(TWO))), lambda _: None)
    assert (done.sealed, done.failed) == (0, 1)


@ensure  # type: ignore[untyped-decorator]
async def test_a_key_of_the_database_can_be_the_kek(kms: Kms) -> None:
    """It lies in clear itself, seals the others, and cannot be missing."""
    server = sealed_by(kms, kek.StoredRing("kek", salts))
    assert "key-encryption key kek" in (await server.refused(_registration("early"))).message
    await server.key("kek")
    await known(server, SECRET)
    inner = store_of(server).store
    stored, held = await inner.get("k"), await inner.get("kek")
    assert stored is not None
    assert held is not None
    assert kek.sealed_under(stored) == "key:kek"
    assert not kek.is_sealed(held)
    assert await material(server, "k") == SECRET


def _registration(uid: str) -> Register:
    value = OpaqueObject(opaque_data_type=OpaqueDataType.UNKNOWN, opaque_data_value=b"secret")
    return Register(
        object_type=ObjectType.OPAQUE_OBJECT,
        attributes=Attributes(unique_identifier=uid),
        managed_object=value,
    )


@ensure  # type: ignore[untyped-decorator]
async def test_a_rotated_kek_seals_what_comes_and_still_opens_what_was(kms: Kms) -> None:
    """After Re-key of the KEK its successor seals; the job brings everything under it."""
    server = sealed_by(kms, kek.StoredRing("kek", salts))
    await server.key("kek")
    await known(server, SECRET, uid="old")
    new_kek = (await server(ReKey(unique_identifier="kek"))).unique_identifier
    await known(server, SECRET, uid="new")
    restarted = sealed_by(kms, kek.StoredRing("kek", salts))
    for uid in ("old", "new"):
        assert await material(restarted, uid) == SECRET
    done = await sealing.seal_all(store_of(restarted), lambda _: None)
    assert (done.identifier, done.sealed) == (f"key:{new_kek}", 1)
    stored = await store_of(restarted).store.get("old")
    assert stored is not None
    assert kek.sealed_under(stored) == f"key:{new_kek}"


@ensure  # type: ignore[untyped-decorator]
async def test_a_destroyed_kek_opens_nothing_from_that_moment(kms: Kms) -> None:
    """Revoked it still opens; destroyed it does not, and what was opened is forgotten."""
    server = sealed_by(kms, kek.StoredRing("kek", salts))
    await server.key("kek")
    await known(server, SECRET)
    await revoke(server, "kek")
    assert await material(server, "k") == SECRET
    await server(Destroy(unique_identifier="kek"))
    assert "key:kek" in (await server.refused(Get(unique_identifier="k"))).message


@ensure  # type: ignore[untyped-decorator]
async def test_a_forged_link_gets_nobody_out_of_being_sealed(kms: Kms) -> None:
    """Only what the KEK itself links to is its successor."""
    from kmsd.kmip.enums import LinkType
    from kmsd.kmip.structures import Link

    server = sealed_by(kms, kek.StoredRing("kek", salts))
    await server.key("kek")
    link = Link(link_type=LinkType.REPLACED_OBJECT_LINK, linked_object_identifier="kek")
    await server.by("mallory").key("mine", link=(link,))
    stored = await store_of(server).store.get("mine")
    assert stored is not None
    assert kek.is_sealed(stored)


@ensure  # type: ignore[untyped-decorator]
async def test_certificates_and_searches_are_as_ever(sealed: Kms) -> None:
    """Locate finds sealed objects by what is not secret."""
    await sealed.key("k", tags=("db",))
    found = await sealed(
        Locate(
            attributes=dump(
                Attributes(cryptographic_algorithm=CryptographicAlgorithm.AES, state=State.ACTIVE)
            )
        )
    )
    assert found.unique_identifier == ("k",)


@pytest.mark.parametrize(
    ("content", "keys"),
    [
        (ONE, [ONE]),
        (ONE.hex().encode() + b"\n", [ONE]),
        (base64.b64encode(ONE) + b"\n# the old one\n\n" + TWO.hex().upper().encode(), [ONE, TWO]),
    ],
    ids=["raw", "hex", "several"],
)
def test_a_kek_file_holds_keys(tmp_path: Path, content: bytes, keys: list[bytes]) -> None:
    """A file is one key as it is, or one on each line."""
    path = tmp_path / "kek"
    path.write_bytes(content)
    assert kek.read_file(path) == keys


@pytest.mark.parametrize(
    "content", [b"", b"# nothing\n", ONE[:31], b"zz" * 32, ONE.hex().encode()[2:]]
)
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    """What holds no key of 32 bytes is no KEK file."""
    path = tmp_path / "kek"
    path.write_bytes(content)
    with pytest.raises(StoreRefused):
        kek.read_file(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """The error names the file."""
    with pytest.raises(StoreRefused, match="nowhere"):
        kek.read_file(tmp_path / "nowhere")
