"""Whole messages, bytes in and bytes out: what every door of KMIP proper does with a request.

A message always gets an answer: one that cannot be read, or not be carried out as a whole, gets a
ResponseMessage with one failed item that says why.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.operations.call import Caller
from kmsd.operations.engine import Engine
from kmsd.operations.messages import refusal
from kmsd.store.interfaces import IStore, StoreUnavailable
from kmsd.ttlv import Item, TtlvError, structure


class Codec(Protocol):
    """A format of messages, such as `ttlv.binary_format`."""

    def decode(self, data: bytes, /) -> Item:
        """Return the item in `data`. Raises: TtlvError."""

    def encode(self, item: Item, /) -> bytes:
        """Return the bytes of `item`."""


Identify = Callable[[Item], Awaitable[tuple[Caller, IStore]]]
"""Tells who sends a message, and to which store. Raises: KmipError, StoreUnavailable."""


async def converse(
    engine: Engine, codec: Codec, body: bytes, caller: Caller, store: IStore
) -> bytes:
    """Return the encoded answer to an encoded RequestMessage."""

    async def known(_message: Item) -> tuple[Caller, IStore]:
        return caller, store

    return await conversed(engine, codec, body, known)


async def conversed(engine: Engine, codec: Codec, body: bytes, identify: Identify) -> bytes:
    """Return the encoded answer to a RequestMessage that may itself say who sends it."""
    message = structure("RequestMessage")
    try:
        message = _message(codec.decode(body))
        caller, store = await identify(message)
        answer = await engine.handle(message, caller, store, Generation.KMIP)
    except TtlvError as error:
        answer = refusal(message, KmipError(ResultReason.INVALID_MESSAGE, str(error)), _now(engine))
    except KmipError as error:
        answer = refusal(message, error, _now(engine))
    except StoreUnavailable as error:
        answer = refusal(message, KmipError(ResultReason.GENERAL_FAILURE, str(error)), _now(engine))
    return codec.encode(answer)


def _message(item: Item) -> Item:
    """Refuse bare operations, which are for the product's own route. Raises: TtlvError."""
    if item.tag != "RequestMessage":
        raise TtlvError(f"the message is a {item.tag}, not a RequestMessage")
    return item


def _now(engine: Engine) -> int:
    return int(engine.services.clock())
