"""KMIP over HTTP: POST /kmip/2_1, JSON-TTLV in the dialect of whoever asks."""

from __future__ import annotations

from kmsd.kmip import json_dialects
from kmsd.kmip.enums import ResultReason, ResultStatus
from kmsd.kmip.errors import KmipError
from kmsd.kmip.messages import ResponseBatchItem, ResponseHeader, ResponseMessage
from kmsd.kmip.structures import ProtocolVersion
from kmsd.resources.route import Answer, Exchange, Route, Who
from kmsd.ttlv import Item, TtlvError
from kmsd.ttlv.schema import dump, load

MESSAGE = "RequestMessage"
VERSION = ProtocolVersion(protocol_version_major=2, protocol_version_minor=1)
"""The version of an answer to a message that names none."""


async def kmip_2_1(exchange: Exchange) -> Answer:
    """Carry out a bare operation or a message; the Content-Type is not looked at, as in 4.22.1.

    Raises:
        KmipError: the bare operation failed, or the body is no JSON-TTLV.
    """
    try:
        item, spelling = json_dialects.decode(exchange.body)
    except TtlvError as error:
        raise KmipError(ResultReason.INVALID_MESSAGE, str(error)) from None
    engine, generation = exchange.services.engine, spelling.value
    try:
        answer = await engine.handle(item, exchange.caller, await exchange.store(), generation)
    except KmipError as error:
        if item.tag != MESSAGE:
            raise
        answer = failed_message(item, error, exchange.services.clock())
    return Answer(body=json_dialects.encode(answer, spelling))


def failed_message(request: Item, error: KmipError, now: int) -> Item:
    """Return the answer to a message that failed as a whole, before any of its operations."""
    failed = ResponseBatchItem(
        result_status=ResultStatus.OPERATION_FAILED,
        result_reason=error.reason,
        result_message=error.message,
    )
    header = ResponseHeader(protocol_version=_version(request), time_stamp=now, batch_count=1)
    return dump(ResponseMessage(response_header=header, batch_item=(failed,)))


def _version(request: Item) -> ProtocolVersion:
    """Return the protocol version of a message as far as it can be read."""
    header = request.child("RequestHeader")
    version = header and header.child("ProtocolVersion")
    try:
        return load(ProtocolVersion, version) if version else VERSION
    except TtlvError:
        return VERSION


ROUTES = (Route("POST", "/kmip/2_1", Who.CALLER, kmip_2_1, roomy=True),)
