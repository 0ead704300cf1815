"""The product's KMIP over HTTP: POST /kmip/2_1, JSON-TTLV in the dialect of whoever asks."""

from __future__ import annotations

from kmsd.kmip import json_dialects
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.operations.messages import refusal
from kmsd.resources.route import Answer, Exchange, Route, Who
from kmsd.ttlv import TtlvError

GENERATIONS = {
    json_dialects.Spelling.V4: Generation.V4,
    json_dialects.Spelling.V5: Generation.V5,
}
"""Who writes like this also expects the rules of conduct of its time."""


async def kmip_2_1(exchange: Exchange) -> Answer:
    """Carry out a bare operation or a message; the Content-Type is not looked at, as in 4.22.1.

    Raises:
        KmipError: the bare operation failed, or the body is no JSON-TTLV. A message that fails
            is told so in its answer, whose status is 200.
    """
    try:
        item, spelling = json_dialects.decode(exchange.body)
    except TtlvError as error:
        raise KmipError(ResultReason.INVALID_MESSAGE, str(error)) from None
    engine, store = exchange.services.engine, await exchange.store()
    try:
        answer = await engine.handle(item, exchange.caller, store, GENERATIONS[spelling])
    except KmipError as error:
        if item.tag != "RequestMessage":
            raise
        answer = refusal(item, error, exchange.services.clock())
    return Answer(body=json_dialects.encode(answer, spelling))


ROUTES = (Route("POST", "/kmip/2_1", Who.CALLER, kmip_2_1, roomy=True, needs=None),)
