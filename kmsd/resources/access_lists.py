"""The lists of objects that a caller owns, or has obtained rights on, for both generations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kmsd.kmip.states import effective_state
from kmsd.operations.scopes import LIST_ACCESS
from kmsd.resources.access_request import names
from kmsd.resources.listing import listing
from kmsd.resources.plain_json import plain_attributes
from kmsd.resources.route import Answer, Exchange, Route, Who
from kmsd.store.interfaces import EVERYONE

if TYPE_CHECKING:
    from kmsd.store.interfaces import Record


def _is_wrapped(record: Record) -> bool:
    block = getattr(record.managed_object, "key_block", None)
    return block is not None and block.key_wrapping_data is not None


def _owned_row(exchange: Exchange, record: Record) -> dict[str, Any]:
    state = effective_state(record.attributes, exchange.services.clock())
    return {
        "object_id": record.unique_identifier,
        "state": state.wire_name,
        "attributes": plain_attributes(record.attributes),
    }


def _obtained_row(exchange: Exchange, record: Record, *, old: bool) -> dict[str, Any]:
    state = effective_state(record.attributes, exchange.services.clock())
    none: frozenset[str] = frozenset()
    held = record.grants.get(exchange.caller.name, none) | record.grants.get(EVERYONE, none)
    return {
        "object_id": record.unique_identifier,
        "owner_id": record.owner,
        "state": state.wire_name,
        "operations": names(held, old=old),
    }


async def owned(exchange: Exchange) -> Answer | None:
    """List the caller's objects."""
    store, name = await exchange.store(), exchange.caller.name
    return await listing(
        exchange,
        lambda limit, offset: store.owned(name, limit, offset),
        lambda record: _owned_row(exchange, record),
    )


async def objects_owned(exchange: Exchange) -> Answer | None:
    """List the caller's objects, as 4.1 to 4.3 do."""
    store, name = await exchange.store(), exchange.caller.name
    return await listing(
        exchange,
        lambda limit, offset: store.owned(name, limit, offset),
        lambda record: _owned_row(exchange, record) | {"is_wrapped": _is_wrapped(record)},
    )


async def obtained(exchange: Exchange) -> Answer | None:
    """List the objects of others on which the caller has rights."""
    store, name = await exchange.store(), exchange.caller.name
    return await listing(
        exchange,
        lambda limit, offset: store.obtained(name, limit, offset),
        lambda record: _obtained_row(exchange, record, old=False),
    )


async def objects_shared(exchange: Exchange) -> Answer | None:
    """List the same, as 4.1 to 4.3 do."""
    store, name = await exchange.store(), exchange.caller.name
    return await listing(
        exchange,
        lambda limit, offset: store.obtained(name, limit, offset),
        lambda record: (
            _obtained_row(exchange, record, old=True) | {"is_wrapped": _is_wrapped(record)}
        ),
    )


ROUTES = (
    Route("GET", "/objects/owned", Who.CALLER, objects_owned, needs=LIST_ACCESS),
    Route("GET", "/objects/shared", Who.CALLER, objects_shared, needs=LIST_ACCESS),
    Route("GET", "/access/owned", Who.CALLER, owned, needs=LIST_ACCESS),
    Route("GET", "/access/obtained", Who.CALLER, obtained, needs=LIST_ACCESS),
)
