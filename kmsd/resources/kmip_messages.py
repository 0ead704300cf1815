"""KMIP proper over HTTP: POST /kmip, a RequestMessage in binary TTLV, JSON or XML by Content-Type.

Source: KMIP Profiles 2.1 §5.4 (HTTPS Profile).
"""

from __future__ import annotations

from kmsd.kmip import json_dialects, profile_names
from kmsd.operations.conversation import Codec, converse
from kmsd.resources.route import Answer, Exchange, Refusal, Route, Who
from kmsd.ttlv import Item, binary_format, xml_format


class _Json:
    """JSON in the spelling of the later clients, which is KMIP's own."""

    @staticmethod
    def decode(data: bytes) -> Item:
        item, _spelling = json_dialects.decode(data)
        return item

    @staticmethod
    def encode(item: Item) -> bytes:
        return json_dialects.encode(profile_names.named(item), json_dialects.Spelling.V5)


class _Xml:
    """XML, as the profile has it."""

    @staticmethod
    def decode(data: bytes) -> Item:
        return xml_format.decode(data)

    @staticmethod
    def encode(item: Item) -> bytes:
        return xml_format.encode(profile_names.named(item))


CODECS: dict[bytes, Codec] = {
    b"application/octet-stream": binary_format,
    b"application/json": _Json(),
    b"text/xml": _Xml(),
    b"application/xml": _Xml(),
}
_NO_CACHE = ((b"Cache-Control", b"no-cache"),)


async def kmip(exchange: Exchange) -> Answer:
    """Answer a message; whatever is wrong with it is told inside the answer, whose status is 200.

    Raises:
        Refusal: the Content-Type is none of KMIP's.
    """
    content_type = exchange.request.getHeader(b"content-type") or b"application/octet-stream"
    media_type = content_type.partition(b";")[0].strip().lower()
    codec = CODECS.get(media_type)
    if codec is None:
        spoken = ", ".join(sorted(name.decode() for name in CODECS))
        raise Refusal(415, f"send one of {spoken}")
    engine = exchange.services.engine
    body = await converse(engine, codec, exchange.body, exchange.caller, await exchange.store())
    return Answer(body=body, content_type=media_type, headers=_NO_CACHE)


ROUTES = (Route("POST", "/kmip", Who.CALLER, kmip, roomy=True, needs=None),)
