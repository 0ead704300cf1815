"""Create Split Key and Join Split Key: parts as objects, and the key they make."""

from typing import Any

import msgspec
import pytest
import pytest_twisted

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    BatchErrorContinuationOption,
    KeyFormatType,
    ObjectType,
    Operation,
    RecommendedCurve,
    ResultReason,
    SecretDataType,
    SplitKeyMethod,
)
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import CryptographicUsageMask as Mask
from kmsd.kmip.messages import RequestBatchItem, RequestHeader, RequestMessage, ResponseMessage
from kmsd.kmip.structures import ProtocolVersion
from kmsd.operations.create_split_key import CreateSplitKey, _Secret
from kmsd.operations.get import Get, GetResponse
from kmsd.operations.get_attributes import GetAttributes
from kmsd.operations.join_split_key import JoinSplitKey
from kmsd.operations.sign import Sign
from kmsd.store.interfaces import Replace
from kmsd.ttlv.schema import dump, load
from tests.server import Kms
from tests.using_keys import known, known_secret, material, pair

ensure = pytest_twisted.ensureDeferred
KEY = bytes(range(1, 33))
SHAMIR = SplitKeyMethod.POLYNOMIAL_SHARING_GF_2_8


def splitting(uid: str | None = "k", **fields: Any) -> CreateSplitKey:
    """Return a request for five parts of which three make the key."""
    values: dict[str, Any] = {
        "object_type": ObjectType.SPLIT_KEY,
        "unique_identifier": uid,
        "split_key_parts": 5,
        "split_key_threshold": 3,
        "split_key_method": SHAMIR,
        "attributes": Attributes(),
    } | fields
    return CreateSplitKey(**values)


def joining(*uids: str, **fields: Any) -> JoinSplitKey:
    values: dict[str, Any] = {
        "object_type": ObjectType.SYMMETRIC_KEY,
        "unique_identifier": uids,
    } | fields
    return JoinSplitKey(**values)


async def split(kms: Kms, request: CreateSplitKey) -> tuple[str, ...]:
    found: tuple[str, ...] = (await kms(request)).unique_identifier
    return found


async def joined(kms: Kms, *uids: str, **fields: Any) -> bytes:
    return await material(kms, (await kms(joining(*uids, **fields))).unique_identifier)


@pytest.mark.parametrize(
    ("method", "parts", "threshold"),
    [
        (SplitKeyMethod.XOR, 3, 3),
        (SHAMIR, 5, 3),
        (SplitKeyMethod.POLYNOMIAL_SHARING_GF_2_16, 4, 2),
        (SplitKeyMethod.POLYNOMIAL_SHARING_PRIME_FIELD, 3, 2),
    ],
    ids=lambda value: value.name if isinstance(value, SplitKeyMethod) else "",
)
@ensure  # type: ignore[untyped-decorator]
async def test_as_many_parts_as_the_threshold_make_the_key(
    kms: Kms, method: SplitKeyMethod, parts: int, threshold: int
) -> None:
    """Any of them, in any order; one less is refused."""
    await known(kms, KEY)
    uids = await split(
        kms,
        splitting(split_key_method=method, split_key_parts=parts, split_key_threshold=threshold),
    )
    assert len(set(uids)) == parts
    assert await joined(kms, *uids[-threshold:][::-1]) == KEY
    few = await kms.refused(joining(*uids[: threshold - 1]))
    assert few.reason is ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS


@ensure  # type: ignore[untyped-decorator]
async def test_a_part_is_an_object_of_its_own(kms: Kms) -> None:
    """It can be got, tells how it was split, and says nothing of the key by itself."""
    await known(kms, KEY)
    uids = await split(kms, splitting())
    part = (await kms(Get(unique_identifier=uids[1]))).managed_object
    assert part.split_key_parts == 5
    assert part.split_key_threshold == 3
    assert part.key_part_identifier == 2
    assert part.split_key_method is SHAMIR
    assert part.key_block.cryptographic_algorithm is Algorithm.AES
    assert part.key_block.key_value.key_material != KEY
    assert len(part.key_block.key_value.key_material) == len(KEY)


@ensure  # type: ignore[untyped-decorator]
async def test_a_new_key_can_be_born_in_parts(kms: Kms) -> None:
    """Without an identifier the server makes a key that is nowhere as a whole until joined."""
    attributes = Attributes(cryptographic_algorithm=Algorithm.AES, cryptographic_length=128)
    uids = await split(kms, splitting(None, attributes=attributes))
    one, other = await joined(kms, *uids[:3]), await joined(kms, *uids[2:])
    assert len(one) == 16
    assert one == other


@ensure  # type: ignore[untyped-decorator]
async def test_the_first_part_is_the_id_placeholder(kms: Kms) -> None:
    """A batch that goes on without an identifier acts on part 1 (KMIP 2.1 §6.1.10)."""
    await known(kms, KEY)
    batch = RequestMessage(
        request_header=RequestHeader(
            protocol_version=ProtocolVersion(protocol_version_major=2, protocol_version_minor=1),
            batch_error_continuation_option=BatchErrorContinuationOption.STOP,
            batch_count=2,
        ),
        batch_item=tuple(
            RequestBatchItem(operation=operation, request_payload=dump(payload, "RequestPayload"))
            for operation, payload in (
                (Operation.CREATE_SPLIT_KEY, splitting()),
                (Operation.GET, Get()),
            )
        ),
    )
    answer = load(ResponseMessage, await kms.item(dump(batch)))
    got = answer.batch_item[1].response_payload
    assert got is not None
    part: Any = load(GetResponse, got).managed_object
    assert part.key_part_identifier == 1


@ensure  # type: ignore[untyped-decorator]
async def test_secret_data_and_private_keys_are_split_too(kms: Kms) -> None:
    """A joined private key signs; secret data has the type asked for."""
    await known_secret(kms, b"pass")
    parts = await split(kms, splitting("s"))
    made = await kms(
        joining(
            *parts, object_type=ObjectType.SECRET_DATA, secret_data_type=SecretDataType.PASSWORD
        )
    )
    secret = (await kms(Get(unique_identifier=made.unique_identifier))).managed_object
    assert secret.secret_data_type is SecretDataType.PASSWORD
    assert secret.key_block.key_value.key_material == b"pass"
    await pair(kms, Algorithm.ECDSA, curve=RecommendedCurve.P256)
    parts = await split(kms, splitting("p"))
    active = Attributes(activation_date=int(kms.clock.now))
    made = await kms(joining(*parts, object_type=ObjectType.PRIVATE_KEY, attributes=active))
    assert (await kms(Sign(unique_identifier=made.unique_identifier, data=b"x"))).signature_data


@ensure  # type: ignore[untyped-decorator]
async def test_splitting_and_joining_does_not_free_a_key(kms: Kms) -> None:
    """What is sensitive, not extractable or limited in use is so in parts and afterwards."""
    await known(kms, KEY, extractable=False, sensitive=True, cryptographic_usage_mask=Mask.ENCRYPT)
    wide = Attributes(extractable=True, sensitive=False, cryptographic_usage_mask=Mask.UNRESTRICTED)
    parts = await split(kms, splitting(attributes=wide))
    made = await kms(joining(*parts, attributes=Attributes(extractable=True, sensitive=False)))
    for uid in (*parts, made.unique_identifier):
        refused = await kms.refused(Get(unique_identifier=uid))
        assert refused.reason in {ResultReason.SENSITIVE, ResultReason.NOT_EXTRACTABLE}
        answer = await kms(GetAttributes(unique_identifier=uid))
        assert answer.attributes.cryptographic_usage_mask == Mask.ENCRYPT


@ensure  # type: ignore[untyped-decorator]
async def test_parts_of_different_keys_are_not_joined(kms: Kms) -> None:
    """Neither of different splits that show it, nor of a stranger, nor what is no part."""
    await known(kms, KEY)
    three = await split(kms, splitting())
    four = await split(kms, splitting(split_key_threshold=4))
    mixed = await kms.refused(joining(three[0], three[1], four[2], four[3]))
    assert mixed.reason is ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS
    again = await split(kms, splitting())
    same_number = await kms.refused(joining(three[0], again[0], three[1]))
    assert same_number.reason is ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS
    stranger = await kms.by("mallory").refused(joining(*three))
    assert stranger.reason is ResultReason.OBJECT_NOT_FOUND
    whole = await kms.refused(joining("k"))
    assert whole.reason is ResultReason.INVALID_OBJECT_TYPE


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (splitting(split_key_threshold=6), ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS),
        (splitting(split_key_parts=0), ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS),
        (splitting(split_key_parts=256), ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS),
        (splitting(split_key_method=SplitKeyMethod.XOR), ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS),
        (splitting(object_type=ObjectType.SYMMETRIC_KEY), ResultReason.INVALID_OBJECT_TYPE),
        (splitting(None), ResultReason.INVALID_MESSAGE),
        (splitting("nobody"), ResultReason.OBJECT_NOT_FOUND),
        (joining(), ResultReason.INVALID_MESSAGE),
    ],
)
@ensure  # type: ignore[untyped-decorator]
async def test_a_wrong_request_makes_nothing(
    kms: Kms, request_: CreateSplitKey | JoinSplitKey, reason: ResultReason
) -> None:
    """Numbers, methods, kinds and names are checked first."""
    await known(kms, KEY)
    assert (await kms.refused(request_)).reason is reason


@ensure  # type: ignore[untyped-decorator]
async def test_parts_make_what_their_kind_allows(kms: Kms) -> None:
    """No certificates, no key without an algorithm, no more parts than there can be."""
    await known_secret(kms, b"pass")
    parts = await split(kms, splitting("s"))
    for kind in (ObjectType.SYMMETRIC_KEY, ObjectType.CERTIFICATE):
        refused = await kms.refused(joining(*parts, object_type=kind))
        assert refused.reason is ResultReason.INVALID_OBJECT_TYPE
    refused = await kms.refused(joining(*parts * 60))
    assert refused.reason is ResultReason.INVALID_MESSAGE


@ensure  # type: ignore[untyped-decorator]
async def test_parts_that_do_not_make_a_private_key_are_not_stored_as_one(kms: Kms) -> None:
    """What comes out is parsed; a changed part is found out."""
    await pair(kms, Algorithm.ECDSA, curve=RecommendedCurve.P256)
    parts = await split(kms, splitting("p", split_key_threshold=2, split_key_parts=2))
    record = await kms.store.get(parts[0])
    assert record is not None
    block = record.managed_object.key_block  # type: ignore[union-attr]
    value: Any = block.key_value
    changed = msgspec.structs.replace(value, key_material=bytes(len(value.key_material)))
    part = msgspec.structs.replace(
        record.managed_object,  # type: ignore[type-var]
        key_block=msgspec.structs.replace(block, key_value=changed),
    )
    await kms.store.write(Replace(msgspec.structs.replace(record, managed_object=part)))
    refused = await kms.refused(joining(*parts, object_type=ObjectType.PRIVATE_KEY))
    assert refused.reason is ResultReason.INVALID_FIELD, refused


def test_what_is_split_is_not_shown() -> None:
    """On its way from key to parts it could end in a traceback."""
    whole = _Secret(KEY, KeyFormatType.RAW, Attributes())
    assert repr(whole) == "<32 secret bytes>"
