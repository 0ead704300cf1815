"""GET /certificates/<id>/crl: the list of an issuer's certificates that were revoked here."""

from __future__ import annotations

from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.operations import revocation_lists
from kmsd.operations.call import Call
from kmsd.resources.route import Answer, Exchange, Route, Who

_CONTENT_TYPES = {"pem": b"application/x-pem-file", "der": b"application/pkix-crl"}


async def crl(exchange: Exchange, unique_identifier: str) -> Answer:
    """Answer a new list, in PEM unless `format=der`, valid for `validity_days`.

    Raises:
        KmipError: a parameter is malformed, or there is no such issuer for the caller.
    """
    form = (exchange.parameter("format") or "pem").lower()
    days = exchange.parameter("validity_days")
    if form not in _CONTENT_TYPES or not (days is None or days.isdecimal()):
        raise KmipError(
            ResultReason.INVALID_FIELD, "format is pem or der, validity_days a whole number"
        )
    services = exchange.services.engine.services
    call = Call(
        caller=exchange.caller,
        store=await exchange.store(),
        services=services,
        now=int(services.clock()),
    )
    body = await revocation_lists.generate(
        call, unique_identifier, None if days is None else int(days), pem=form == "pem"
    )
    return Answer(body=body, content_type=_CONTENT_TYPES[form])


ROUTES = (Route("GET", "/certificates/<path:unique_identifier>/crl", Who.CALLER, crl),)
