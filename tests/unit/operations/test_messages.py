"""Batches: order, ID Placeholder, what happens after an error, and messages that are none."""

from typing import Any

import pytest
import pytest_twisted

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    BatchErrorContinuationOption,
    CryptographicAlgorithm,
    ObjectType,
    Operation,
    ResultReason,
    ResultStatus,
)
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.kmip.messages import (
    MessageExtension,
    RequestBatchItem,
    RequestHeader,
    RequestMessage,
    ResponseMessage,
)
from kmsd.kmip.structures import ProtocolVersion
from kmsd.operations.activate import Activate
from kmsd.operations.call import Caller
from kmsd.operations.conversation import converse
from kmsd.operations.create import Create
from kmsd.operations.get import Get
from kmsd.operations.get_attributes import GetAttributes
from kmsd.operations.messages import refusal
from kmsd.operations.query import Query
from kmsd.ttlv import binary_format, structure, xml_format
from kmsd.ttlv.schema import Structure, dump, load
from tests.server import NOW, Kms

ensure = pytest_twisted.ensureDeferred
CREATE = Create(
    object_type=ObjectType.SYMMETRIC_KEY,
    attributes=Attributes(
        cryptographic_algorithm=CryptographicAlgorithm.AES, cryptographic_length=128
    ),
)
STATUS = ResultStatus


def message(
    *payloads: Structure | None, version: tuple[int, int] = (2, 1), **header: Any
) -> RequestMessage:
    """Make a message with one item for each payload; None is an operation that is not served."""
    items = tuple(
        RequestBatchItem(
            operation=Operation.of(type(payload).__name__) if payload else Operation.REPROVISION,
            unique_batch_item_id=at.to_bytes(2, "big"),
            request_payload=dump(payload, "RequestPayload") if payload else None,
        )
        for at, payload in enumerate(payloads)
    )
    major, minor = version
    protocol_version = ProtocolVersion(protocol_version_major=major, protocol_version_minor=minor)
    return RequestMessage(
        request_header=RequestHeader(protocol_version=protocol_version, **header), batch_item=items
    )


async def answered(kms: Kms, request: RequestMessage) -> ResponseMessage:
    return load(ResponseMessage, await kms.item(dump(request)))


def statuses(answer: ResponseMessage) -> list[ResultStatus]:
    assert answer.response_header.batch_count == len(answer.batch_item)
    return [item.result_status for item in answer.batch_item]


@ensure  # type: ignore[untyped-decorator]
async def test_items_are_answered_in_order_under_their_identifiers(kms: Kms) -> None:
    """The header tells the version, the time and the count."""
    answer = await answered(kms, message(CREATE, Query(), CREATE))
    assert [item.unique_batch_item_id for item in answer.batch_item] == [b"\0\0", b"\0\1", b"\0\2"]
    assert answer.response_header.time_stamp == NOW
    assert statuses(answer) == [STATUS.SUCCESS] * 3


@ensure  # type: ignore[untyped-decorator]
async def test_the_id_placeholder_names_what_was_just_made(kms: Kms) -> None:
    """Until the batch ends."""
    answer = await answered(kms, message(CREATE, Activate(), GetAttributes()))
    assert statuses(answer) == [STATUS.SUCCESS] * 3
    alone = await answered(kms, message(Activate()))
    assert statuses(alone) == [STATUS.OPERATION_FAILED]


@pytest.mark.parametrize(
    ("option", "expected", "kept"),
    [
        (None, [STATUS.SUCCESS, STATUS.OPERATION_FAILED], 1),
        (
            BatchErrorContinuationOption.STOP,
            [STATUS.SUCCESS, STATUS.OPERATION_FAILED],
            1,
        ),
        (
            BatchErrorContinuationOption.CONTINUE,
            [STATUS.SUCCESS, STATUS.OPERATION_FAILED, STATUS.SUCCESS],
            2,
        ),
        (
            BatchErrorContinuationOption.UNDO,
            [STATUS.OPERATION_UNDONE, STATUS.OPERATION_FAILED],
            0,
        ),
    ],
    ids=["default", "stop", "continue", "undo"],
)
@ensure  # type: ignore[untyped-decorator]
async def test_the_continuation_option_decides_after_an_error(
    kms: Kms, option: Any, expected: list[ResultStatus], kept: int
) -> None:
    """Stop ends the batch, Continue goes on, Undo leaves nothing behind."""
    request = message(CREATE, None, CREATE, batch_error_continuation_option=option)
    assert statuses(await answered(kms, request)) == expected
    assert len(await kms.store.owned("alice", 10)) == kept


@ensure  # type: ignore[untyped-decorator]
async def test_undo_puts_changed_objects_back(kms: Kms) -> None:
    """An activation within an undone batch did not happen."""
    await kms.key(activation_date=None)
    before = await kms.store.get("k")
    request = message(
        Activate(unique_identifier="k"),
        Get(unique_identifier="none"),
        batch_error_continuation_option=BatchErrorContinuationOption.UNDO,
    )
    await answered(kms, request)
    after = await kms.store.get("k")
    assert before is not None
    assert after is not None
    assert after.attributes == before.attributes


@ensure  # type: ignore[untyped-decorator]
async def test_a_4x_batch_goes_on_after_an_error(kms: Kms) -> None:
    """As its servers do."""
    answer = await answered(kms.as_(Generation.V4), message(None, CREATE, version=(1, 0)))
    assert statuses(answer) == [STATUS.OPERATION_FAILED, STATUS.SUCCESS]


@ensure  # type: ignore[untyped-decorator]
async def test_a_response_longer_than_asked_for_is_not_sent(kms: Kms) -> None:
    """Its items say so instead."""
    answer = await answered(kms, message(CREATE, Query(), maximum_response_size=80))
    reasons = [item.result_reason for item in answer.batch_item]
    assert reasons == [ResultReason.RESPONSE_TOO_LARGE] * 2


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (message(CREATE, version=(9, 9)), ResultReason.UNSUPPORTED_PROTOCOL_VERSION),
        (message(CREATE, batch_count=2), ResultReason.INVALID_MESSAGE),
        (message(*[CREATE] * 1001), ResultReason.SERVER_LIMIT_EXCEEDED),
    ],
    ids=["version", "count", "too many"],
)
@ensure  # type: ignore[untyped-decorator]
async def test_a_message_that_cannot_be_answered_is_refused_as_a_whole(
    kms: Kms, request_: RequestMessage, reason: ResultReason
) -> None:
    """Before any of its operations ran."""
    with pytest.raises(KmipError) as failed:
        await answered(kms, request_)
    assert failed.value.reason is reason
    answer = load(ResponseMessage, refusal(dump(request_), failed.value, NOW))
    assert statuses(answer) == [STATUS.OPERATION_FAILED]
    assert await kms.store.owned("alice", 10) == []


@ensure  # type: ignore[untyped-decorator]
async def test_only_critical_extensions_stop_an_item(kms: Kms) -> None:
    """An extension that may be ignored is."""
    for critical, expected in ((True, STATUS.OPERATION_FAILED), (False, STATUS.SUCCESS)):
        extension = MessageExtension(vendor_identification="acme", criticality_indicator=critical)
        request = message(Query())
        (item,) = request.batch_item
        changed = RequestBatchItem(
            operation=item.operation,
            request_payload=item.request_payload,
            message_extension=extension,
        )
        request = RequestMessage(request_header=request.request_header, batch_item=(changed,))
        assert statuses(await answered(kms, request)) == [expected]


@pytest.mark.parametrize("codec", [binary_format, xml_format], ids=["binary", "xml"])
@pytest.mark.parametrize("noise", [b"", b"\0" * 8, b"<x>", b"\x42\0\x78\1\0\0\0\0"], ids=repr)
@ensure  # type: ignore[untyped-decorator]
async def test_every_body_gets_a_message_for_an_answer(kms: Kms, codec: Any, noise: bytes) -> None:
    """One that cannot be read gets one failed item that says why."""
    body = await converse(kms.engine, codec, noise, Caller("alice"), kms.store)
    answer = load(ResponseMessage, codec.decode(body))
    assert statuses(answer) == [STATUS.OPERATION_FAILED]
    assert answer.batch_item[0].result_reason is ResultReason.INVALID_MESSAGE


@ensure  # type: ignore[untyped-decorator]
async def test_a_bare_operation_is_no_message(kms: Kms) -> None:
    """Where only messages are spoken."""
    body = binary_format.encode(structure("Attributes"))
    answer = await converse(kms.engine, binary_format, body, Caller("alice"), kms.store)
    assert b"not a RequestMessage" in answer
