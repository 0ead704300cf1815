"""From request structures to items and back: the same structures and rows that the server has."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from kmsd.client.errors import ClientError, Trouble
from kmsd.kmip.enums import BatchErrorContinuationOption, ResultReason, ResultStatus
from kmsd.kmip.messages import (
    Authentication,
    Credential,
    RequestBatchItem,
    RequestHeader,
    RequestMessage,
    ResponseBatchItem,
    ResponseMessage,
)
from kmsd.kmip.structures import ProtocolVersion
from kmsd.operations import BY_TAG, Row
from kmsd.ttlv import Item, TtlvError
from kmsd.ttlv.schema import Structure, dump, load

S = TypeVar("S", bound=Structure)
_identifiers = itertools.count(1)


def row_of(request: Structure) -> Row:
    """Return the operation that a request structure is of. Raises: LookupError: of none."""
    return BY_TAG[type(request).__name__.lower()]


def loaded(cls: type[S], item: Item) -> S:
    """Make a structure of an answer. Raises: ClientError: it is none."""
    try:
        return load(cls, item)
    except TtlvError as error:
        raise ClientError(Trouble.PROTOCOL, f"the server's answer: {error}") from None


def message(
    requests: Iterable[Structure],
    *,
    version: tuple[int, int] = (2, 1),
    credential: Credential | None = None,
    on_error: BatchErrorContinuationOption | None = None,
    **header: Any,
) -> RequestMessage:
    """Return the message that carries `requests` in their order; `header` adds header fields."""
    items = tuple(map(_batch_item, requests))
    batched = len(items) > 1
    major, minor = version
    return RequestMessage(
        request_header=RequestHeader(
            protocol_version=ProtocolVersion(
                protocol_version_major=major, protocol_version_minor=minor
            ),
            authentication=(Authentication(credential=(credential,)),) if credential else (),
            batch_error_continuation_option=on_error,
            batch_order_option=True if batched else None,
            batch_count=len(items),
            **header,
        ),
        batch_item=items,
    )


def _batch_item(request: Structure) -> RequestBatchItem:
    return RequestBatchItem(
        operation=row_of(request).operation,
        unique_batch_item_id=next(_identifiers).to_bytes(8),
        request_payload=dump(request, "RequestPayload"),
    )


def answers(
    request: RequestMessage, requests: Sequence[Structure], item: Item
) -> list[Structure | ClientError]:
    """Return the answer to each request: a response structure, or the error that it failed with.

    Raises:
        ClientError: the message failed as a whole, or what came back is no answer to it.
    """
    response = loaded(ResponseMessage, item)
    by_id = {each.unique_batch_item_id: each for each in response.batch_item}
    if len(response.batch_item) == 1 and (None in by_id or len(requests) == 1):
        only = response.batch_item[0]
        if only.operation is None and only.result_status is ResultStatus.OPERATION_FAILED:
            raise failure(only)
        by_id.setdefault(request.batch_item[0].unique_batch_item_id, only)
    return [
        _answer(each, by_id.get(sent.unique_batch_item_id))
        for each, sent in zip(requests, request.batch_item, strict=True)
    ]


def _answer(request: Structure, item: ResponseBatchItem | None) -> Structure | ClientError:
    if item is None:
        return ClientError(
            ResultReason.OPERATION_CANCELED_BY_REQUESTER, "not done: one before it failed"
        )
    if item.result_status is not ResultStatus.SUCCESS:
        return failure(item)
    payload = item.response_payload
    if payload is None:
        return ClientError(Trouble.PROTOCOL, "the server's answer has no payload")
    return loaded(row_of(request).response, payload)


def failure(item: ResponseBatchItem) -> ClientError:
    """Return the error that a failed batch item tells of."""
    reason = item.result_reason or ResultReason.GENERAL_FAILURE
    text = item.result_message or reason.wire_name.replace("_", " ").lower()
    if item.result_status is ResultStatus.OPERATION_PENDING:
        text = "the server has put the operation off: ask with Poll"
    return ClientError(reason, text)
