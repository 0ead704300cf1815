"""The counter that ends random nonces before one is likely to repeat."""

from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred, gatherResults

from kmsd.crypto import bulk
from kmsd.kmip.enums import BlockCipherMode, ResultReason
from kmsd.kmip.structures import CryptographicParameters
from kmsd.operations import nonces
from kmsd.operations.encrypt import Encrypt
from kmsd.operations.nonces import COUNTER, FIRST_BLOCK, LARGEST_BLOCK, MOST, Nonces
from kmsd.store.interfaces import Record
from tests.server import Kms, open_kms

ensure = pytest_twisted.ensureDeferred
REQUEST = Encrypt(unique_identifier="k", data=b"x")


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Nonces:
    """A process that has reserved nothing yet."""
    made = Nonces()
    monkeypatch.setattr(nonces, "NONCES", made)
    return made


async def reserved(kms: Kms) -> int:
    """Return how far the key's durable counter is."""
    return await kms.store.reserve("k", COUNTER, 0)


async def record(kms: Kms) -> Record:
    found = await kms.store.get("k")
    assert found is not None
    return found


@ensure  # type: ignore[untyped-decorator]
async def test_blocks_grow_with_use_and_are_on_disk_before_it(kms: Kms, fresh: Nonces) -> None:
    """The store is asked once in a block, and each block is twice the last, up to a largest."""
    await kms.key()
    await kms(REQUEST)
    assert await reserved(kms) == FIRST_BLOCK
    await fresh.count(kms.store, await record(kms), FIRST_BLOCK - 1)
    assert await reserved(kms) == FIRST_BLOCK
    await kms(REQUEST)
    assert await reserved(kms) == 3 * FIRST_BLOCK
    for _ in range(300):
        await fresh.count(kms.store, await record(kms), FIRST_BLOCK)
    assert 300 * FIRST_BLOCK < await reserved(kms) <= 303 * FIRST_BLOCK + LARGEST_BLOCK


@ensure  # type: ignore[untyped-decorator]
async def test_concurrent_first_uses_share_one_block(kms: Kms) -> None:
    """Those who come while a block is being reserved wait for it."""
    await kms.key()
    await gatherResults([ensureDeferred(kms(REQUEST)) for _ in range(20)])
    assert await reserved(kms) == FIRST_BLOCK


@ensure  # type: ignore[untyped-decorator]
async def test_a_key_ends_with_its_last_nonce(kms: Kms) -> None:
    """2^32 random nonces and not one more; a nonce of the client's own is its own affair."""
    await kms.key()
    await kms.store.reserve("k", COUNTER, MOST - 2)
    await kms(REQUEST)
    await kms(REQUEST)
    refused = await kms.refused(REQUEST)
    assert refused.reason is ResultReason.USAGE_LIMIT_EXCEEDED
    assert "2^32" in refused.message
    at_the_end = await reserved(kms)
    await kms.refused(REQUEST)
    assert await reserved(kms) == at_the_end
    await kms(Encrypt(unique_identifier="k", data=b"x", iv_counter_nonce=bytes(12)))
    cbc = CryptographicParameters(block_cipher_mode=BlockCipherMode.CBC)
    await kms(Encrypt(unique_identifier="k", data=b"x", cryptographic_parameters=cbc))


@ensure  # type: ignore[untyped-decorator]
async def test_a_restart_and_a_second_server_never_use_a_block_again(
    kms: Kms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a server has reserved is lost to all others."""
    await kms.key()
    await kms(REQUEST)
    monkeypatch.setattr(nonces, "NONCES", Nonces())
    second = await open_kms(tmp_path)
    await second(REQUEST)
    assert await reserved(kms) == 2 * FIRST_BLOCK
    await second.close()


@ensure  # type: ignore[untyped-decorator]
async def test_every_item_of_bulk_data_and_every_stream_counts(kms: Kms) -> None:
    """Each has a nonce."""
    await kms.key()
    await kms.store.reserve("k", COUNTER, MOST - 4)
    await kms(Encrypt(unique_identifier="k", data=bulk.build([b"1", b"2", b"3"])))
    await kms(Encrypt(unique_identifier="k", data=b"x", init_indicator=True))
    assert (await kms.refused(REQUEST)).reason is ResultReason.USAGE_LIMIT_EXCEEDED


@ensure  # type: ignore[untyped-decorator]
async def test_least_recently_used_keys_are_forgotten(kms: Kms) -> None:
    """The blocks kept are bounded: a key that comes back reserves anew."""
    small = Nonces(capacity=2)
    for uid in ("k", "a", "b", "k"):
        if await kms.store.get(uid) is None:
            await kms.key(uid)
        found = await kms.store.get(uid)
        assert found is not None
        await small.count(kms.store, found)
    assert await reserved(kms) == 2 * FIRST_BLOCK
