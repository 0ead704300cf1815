"""KMIP over HTTP: POST /kmip/2_1, JSON-TTLV in the dialect of whoever asks."""

from __future__ import annotations

from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.resources.route import Answer, Exchange, Route, Who
from kmsd.ttlv import TtlvError, json_format


async def kmip_2_1(exchange: Exchange) -> Answer:
    """Carry out a bare operation or a message; the Content-Type is not looked at, as in 4.22.1.

    Raises:
        KmipError: the bare operation failed; a message says so inside its answer.
    """
    try:
        item, spelling = json_format.decode(exchange.body)
    except TtlvError as error:
        raise KmipError(ResultReason.INVALID_MESSAGE, str(error)) from None
    store = await exchange.store()
    engine, generation = exchange.services.engine, spelling.value
    answer = await engine.handle(item, exchange.caller, store, generation)
    return Answer(body=json_format.encode(answer, spelling))


ROUTES = (Route("POST", "/kmip/2_1", Who.CALLER, kmip_2_1, roomy=True),)
