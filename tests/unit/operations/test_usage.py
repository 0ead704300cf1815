"""Usage limits: what a key may protect, taken before it is used, by any number of servers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import DeferredList, ensureDeferred

from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import CryptographicUsageMask as Mask
from kmsd.kmip.enums import HashingAlgorithm, ResultReason, UsageLimitsUnit
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import CryptographicParameters, UsageLimits
from kmsd.operations.decrypt import Decrypt
from kmsd.operations.encrypt import Encrypt
from kmsd.operations.engine import Engine
from kmsd.operations.get_attributes import GetAttributes
from kmsd.operations.get_usage_allocation import GetUsageAllocation
from kmsd.operations.mac import MAC
from kmsd.operations.sign import Sign
from kmsd.store import Database, open_store
from kmsd.store.interfaces import Replace, StaleRecord
from kmsd.ttlv.schema import Structure
from tests.server import Kms
from tests.using_keys import known, pair, revoke

ensure = pytest_twisted.ensureDeferred
KEY = bytes(32)
HMAC = CryptographicParameters(hashing_algorithm=HashingAlgorithm.SHA256)


@pytest_twisted.async_yield_fixture  # type: ignore[untyped-decorator]
async def neighbour(kms: Kms, tmp_path: Path) -> AsyncIterator[Kms]:
    """A second server on the same database."""
    database = Database(type="sqlite", path=tmp_path)
    store = open_store(reactor, database, several_processes=True)  # type: ignore[arg-type]
    yield Kms(Engine(kms.engine.services), store, kms.clock)
    await store.close()


def limits(total: int, unit: UsageLimitsUnit = UsageLimitsUnit.OBJECT) -> UsageLimits:
    return UsageLimits(usage_limits_total=total, usage_limits_unit=unit)


async def left(kms: Kms, uid: str = "k") -> int:
    """Return the Usage Limits Count that Get Attributes tells."""
    answer = await kms(GetAttributes(unique_identifier=uid))
    found: UsageLimits = answer.attributes.usage_limits
    assert found.usage_limits_count is not None
    return found.usage_limits_count


@pytest.mark.parametrize(
    "request_",
    [
        Encrypt(unique_identifier="k", data=bytes(16)),
        MAC(unique_identifier="k", data=bytes(16), cryptographic_parameters=HMAC),
        Sign(unique_identifier="p", data=bytes(16)),
        Encrypt(unique_identifier="p_pk", data=bytes(16)),
    ],
    ids=["Encrypt", "MAC", "Sign", "Encrypt to a public key"],
)
@pytest.mark.parametrize(
    ("unit", "total"), [(UsageLimitsUnit.OBJECT, 2), (UsageLimitsUnit.BYTE, 40)]
)
@ensure  # type: ignore[untyped-decorator]
async def test_a_key_protects_so_much_and_no_more(
    kms: Kms, request_: Structure, unit: UsageLimitsUnit, total: int
) -> None:
    """Two objects, or forty bytes: a third message of sixteen is refused, and costs nothing."""
    uid: str = request_.unique_identifier  # type: ignore[attr-defined]
    if uid == "k":
        await known(kms, KEY, usage_limits=limits(total, unit))
    else:
        await pair(kms, Algorithm.RSA, 2048, usage_limits=limits(total, unit))
    await kms(request_)
    await kms(request_)
    refused = await kms.refused(request_)
    assert refused.reason is ResultReason.PERMISSION_DENIED
    assert "usage limits" in refused.message
    assert await left(kms, uid) == total - 2 * (1 if unit is UsageLimitsUnit.OBJECT else 16)


@ensure  # type: ignore[untyped-decorator]
async def test_a_key_that_is_used_up_still_processes(kms: Kms) -> None:
    """Usage limits are about protecting only (KMIP 2.1 §4.59)."""
    await known(kms, KEY, usage_limits=limits(1))
    made = await kms(Encrypt(unique_identifier="k", data=b"x"))
    assert await left(kms) == 0
    answer = await kms(
        Decrypt(
            unique_identifier="k",
            data=made.data,
            iv_counter_nonce=made.iv_counter_nonce,
            authenticated_encryption_tag=made.authenticated_encryption_tag,
        )
    )
    assert answer.data == b"x"


@ensure  # type: ignore[untyped-decorator]
async def test_parts_are_one_object_and_all_their_bytes(kms: Kms) -> None:
    """A message in parts costs what it costs as a whole."""
    for unit, expected in ((UsageLimitsUnit.OBJECT, 99), (UsageLimitsUnit.BYTE, 95)):
        uid = unit.name
        await known(kms, KEY, uid=uid, usage_limits=limits(100, unit))
        first = await kms(Encrypt(unique_identifier=uid, data=b"he", init_indicator=True))
        last = Encrypt(
            unique_identifier=uid,
            data=b"llo",
            correlation_value=first.correlation_value,
            final_indicator=True,
        )
        await kms(last)
        assert await left(kms, uid) == expected


async def _outcomes(*requests: Any) -> list[str]:
    """Carry all of them out at the same time; return how each ended."""
    results = await DeferredList(map(ensureDeferred, requests), consumeErrors=True)
    outcomes = []
    for succeeded, result in results:
        if succeeded:
            outcomes.append("done")
            continue
        error = result.value
        assert isinstance(error, KmipError), error
        outcomes.append(error.reason.name)
    return outcomes


@ensure  # type: ignore[untyped-decorator]
async def test_two_servers_never_overspend(kms: Kms, neighbour: Kms) -> None:
    """Sixty requests at once, on two servers, for a key that has twenty-five: so many succeed."""
    await known(kms, KEY, usage_limits=limits(25))
    request = Encrypt(unique_identifier="k", data=b"x")
    outcomes = await _outcomes(*((kms, neighbour)[i % 2](request) for i in range(60)))
    assert (outcomes.count("done"), outcomes.count("PERMISSION_DENIED")) == (25, 35)
    kms.store.forget()  # type: ignore[attr-defined] # this fixture's cache knows no neighbour
    assert await left(kms) == 0


@ensure  # type: ignore[untyped-decorator]
async def test_a_revocation_between_check_and_use_is_heeded(kms: Kms) -> None:
    """A count that others have changed is taken anew, but not on a key that is another by now."""
    await known(kms, KEY, usage_limits=limits(5))
    write = kms.store.write

    async def after_a_revocation(*changes: Any) -> None:
        kms.store.write = write  # type: ignore[method-assign]
        await revoke(kms, "k")
        await write(*changes)

    kms.store.write = after_a_revocation  # type: ignore[method-assign]
    refused = await kms.refused(Encrypt(unique_identifier="k", data=b"x"))
    assert refused.reason is ResultReason.WRONG_KEY_LIFECYCLE_STATE
    assert await left(kms) == 5


@ensure  # type: ignore[untyped-decorator]
async def test_an_allocation_is_taken_at_once(kms: Kms) -> None:
    """What a client is to use up on its own side is gone here, and more than is left is refused."""
    await known(kms, KEY, usage_limits=limits(10))
    await kms(GetUsageAllocation(unique_identifier="k", usage_limits_count=7))
    assert await left(kms) == 3
    refused = await kms.refused(GetUsageAllocation(unique_identifier="k", usage_limits_count=4))
    assert refused.reason is ResultReason.USAGE_LIMIT_EXCEEDED
    assert await left(kms) == 3


@pytest.mark.parametrize(
    ("uid", "count", "reason"),
    [
        ("free", 1, ResultReason.ATTRIBUTE_NOT_FOUND),
        ("reads", 1, ResultReason.INVALID_OBJECT_TYPE),
        ("k", 0, ResultReason.INVALID_FIELD),
        ("k", -1, ResultReason.INVALID_FIELD),
        ("nobody", 1, ResultReason.OBJECT_NOT_FOUND),
        ("revoked", 1, ResultReason.WRONG_KEY_LIFECYCLE_STATE),
    ],
)
@ensure  # type: ignore[untyped-decorator]
async def test_an_allocation_needs_a_limited_key_that_protects(
    kms: Kms, uid: str, count: int, reason: ResultReason
) -> None:
    """No limits, no protection, no key or a revoked one: nothing to allocate from."""
    await known(kms, KEY, usage_limits=limits(10))
    await known(kms, KEY, uid="free")
    await known(
        kms, KEY, uid="reads", usage_limits=limits(10), cryptographic_usage_mask=Mask.DECRYPT
    )
    await known(kms, KEY, uid="revoked", usage_limits=limits(10))
    await revoke(kms, "revoked")
    refused = await kms.refused(GetUsageAllocation(unique_identifier=uid, usage_limits_count=count))
    assert refused.reason is reason


@ensure  # type: ignore[untyped-decorator]
async def test_a_count_beyond_the_total_is_worth_the_total(kms: Kms) -> None:
    """A client that registers a key cannot give it more uses than its total."""
    await known(kms, KEY, usage_limits=limits(1))
    record = await kms.store.get("k")
    assert record is not None
    generous = msgspec.structs.replace(limits(1), usage_limits_count=100)
    attributes = msgspec.structs.replace(record.attributes, usage_limits=generous)
    await kms.store.write(Replace(msgspec.structs.replace(record, attributes=attributes)))
    await kms(Encrypt(unique_identifier="k", data=b"x"))
    assert await left(kms) == 0


@ensure  # type: ignore[untyped-decorator]
async def test_a_count_that_others_change_all_the_time_is_given_up(kms: Kms) -> None:
    """The key is not used when its count could not be taken."""
    await known(kms, KEY, usage_limits=limits(5))

    async def too_late(*_changes: Any) -> None:
        raise StaleRecord("k")

    write, kms.store.write = kms.store.write, too_late  # type: ignore[method-assign]
    refused = await kms.refused(Encrypt(unique_identifier="k", data=b"x"))
    kms.store.write = write  # type: ignore[method-assign]
    assert refused.reason is ResultReason.GENERAL_FAILURE
    assert "nothing was done" in refused.message
    assert await left(kms) == 5
