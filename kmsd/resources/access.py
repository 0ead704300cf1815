"""Who may do what with an object: the routes of both generations of clients.

4.1 to 4.3 know `/objects/…` and `/accesses/{id}` with PascalCase operations, 4.4 and later
`/access/…` with lower-case ones; both read and write the same grants. Only the owner of an object
may grant, revoke and list; whether an object exists is nobody else's business, so an unknown one
is refused in the same words as a foreign one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from kmsd.kmip.enums import Operation, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.states import effective_state
from kmsd.operations import OPERATIONS
from kmsd.resources.listing import listing
from kmsd.resources.plain_json import plain_attributes
from kmsd.resources.route import Answer, Exchange, Route, Who, json_answer
from kmsd.store.interfaces import EVERYONE, NoSuchObject

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kmsd.store.interfaces import IStore, Record

_PRODUCT = (
    "Create", "Certify", "Decrypt", "DeriveKey", "Destroy", "Encrypt", "Export", "Get",
    "GetAttributes", "Hash", "Import", "Locate", "Mac", "Revoke", "Rekey", "Sign",
    "SignatureVerify", "Validate", "SetAttribute", "ModifyAttribute", "AddAttribute",
    "DeleteAttribute", "Activate",
)  # fmt: skip


def _grantable() -> dict[str, str]:
    """Return what may be granted: the product's list, then what else operations ask for."""
    asked = {name for row in OPERATIONS if row.target for name in row.target.permit}
    ours = {operation.wire_name.lower(): operation.wire_name for operation in Operation}
    names = {name.lower(): name for name in _PRODUCT}
    return names | {name: ours[name] for name in sorted(asked - names.keys())}


GRANTABLE: Final = _grantable()
"""Stored name of an operation → its old spelling, in the order in which lists show them."""

CREATE = "create"
USER_CHARACTERS = 255
EVERYTHING = "*"
"""The identifier under which the right to create, which is tied to no object, is kept."""


class AccessBody(msgspec.Struct, frozen=True):
    """A request to grant or revoke; up to 4.11.2 clients name a single `operation_type`."""

    user_id: str
    unique_identifier: str | int | None = None
    operation_types: tuple[str, ...] | None = None
    operation_type: str | None = None


class Access(msgspec.Struct, frozen=True):
    """The same, checked: lower-case operations of `GRANTABLE`."""

    unique_identifier: str | None
    user_id: str
    operations: frozenset[str]


_read_body = msgspec.json.Decoder(AccessBody).decode


def read_access(body: bytes) -> Access:
    """Return what `body` asks for.

    Raises:
        KmipError: INVALID_MESSAGE, it is not a request to grant or revoke.
    """
    try:
        asked = _read_body(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise KmipError(ResultReason.INVALID_MESSAGE, str(error)) from None
    user, uid = asked.user_id, asked.unique_identifier
    if not user.isprintable() or not 0 < len(user) <= USER_CHARACTERS:
        raise KmipError(ResultReason.INVALID_MESSAGE, "user_id cannot be the name of a user")
    given = asked.operation_types
    if given is None:
        given = () if asked.operation_type is None else (asked.operation_type,)
    return Access(None if uid is None else str(uid), user, _operations(given))


def _operations(given: Iterable[str]) -> frozenset[str]:
    operations = frozenset(name.lower() for name in given)
    unknown = sorted(operations - GRANTABLE.keys())
    if unknown or not operations:
        wrong = f"unknown operation {unknown[0][:64]!r}" if unknown else "no operation given"
        raise KmipError(
            ResultReason.INVALID_MESSAGE, f"{wrong}; possible are: {', '.join(GRANTABLE)}"
        )
    return operations


async def grant(exchange: Exchange, **_path: str) -> Answer:
    """Let another user, or everyone, do something with an object of the caller's."""
    access = read_access(exchange.body)
    store = await exchange.store()
    for uid, operations in await _permitted(exchange, store, access, "grant"):
        try:
            await store.grant(uid, access.user_id, operations)
        except NoSuchObject:  # it has gone since
            raise _not_owned(exchange, uid) from None
    return json_answer({"success": f"Access for {access.user_id} successfully added"})


async def revoke(exchange: Exchange, **_path: str) -> Answer:
    """Take rights away again."""
    access = read_access(exchange.body)
    store = await exchange.store()
    for uid, operations in await _permitted(exchange, store, access, "revoke"):
        await store.ungrant(uid, access.user_id, operations)
    return json_answer({"success": f"Access for {access.user_id} successfully deleted"})


async def _permitted(
    exchange: Exchange, store: IStore, access: Access, verb: str
) -> list[tuple[str, frozenset[str]]]:
    """Return which operations to write under which identifier, all of it permitted.

    With privileged users configured, the right to create is the server's to give: it is kept
    apart from the object that the request may name besides.

    Raises:
        KmipError: PERMISSION_DENIED, or INVALID_MESSAGE when no object is named.
    """
    operations, permitted = access.operations, []
    if CREATE in operations and exchange.services.privileged_users:
        _check_privileged(exchange, access, verb)
        permitted.append((EVERYTHING, frozenset({CREATE})))
        operations -= {CREATE}
    if operations:
        uid = access.unique_identifier
        if not uid:
            raise KmipError(
                ResultReason.FEATURE_NOT_SUPPORTED,
                "This KMIP server does not yet support place holder id",
            )
        await _owned_record(exchange, store, uid)
        _check_other(exchange, access, verb)
        permitted.append((uid, operations))
    return permitted


def _check_privileged(exchange: Exchange, access: Access, verb: str) -> None:
    caller, privileged = exchange.caller.name, exchange.services.privileged_users
    if caller not in privileged:
        raise _denied(f"user `{caller}` may not {verb} the right to create: not privileged")
    _check_other(exchange, access, verb)
    if access.user_id in privileged:
        raise _denied(f"You can't {verb} the right to create of a privileged user")


def _check_other(exchange: Exchange, access: Access, verb: str) -> None:
    if access.user_id == exchange.caller.name:
        raise _denied(f"You can't {verb} yourself, the owner of an object has all rights")


async def _owned_record(exchange: Exchange, store: IStore, uid: str) -> Record:
    record = await store.get(uid)
    if record is None or record.owner != exchange.caller.name:
        raise _not_owned(exchange, uid)
    return record


def _not_owned(exchange: Exchange, uid: str) -> KmipError:
    caller = exchange.caller.name
    return _denied(f"Object with uid `{uid}` is not owned by owner `{caller}`")


def _denied(message: str) -> KmipError:
    return KmipError(ResultReason.PERMISSION_DENIED, message)


# Lists


def _names(operations: Iterable[str], *, old: bool) -> list[str]:
    return [GRANTABLE[name] if old else name for name in GRANTABLE if name in operations]


async def _grants(exchange: Exchange, uid: str, *, old: bool) -> Answer:
    store = await exchange.store()
    await _owned_record(exchange, store, uid)
    grants: Mapping[str, frozenset[str]] = await store.grants(uid)
    return json_answer(
        [
            {"user_id": user, "operations": _names(operations, old=old)}
            for user, operations in sorted(grants.items())
            if operations
        ]
    )


async def list_access(exchange: Exchange, object_id: str) -> Answer:
    """Answer who may do what with an object of the caller's."""
    return await _grants(exchange, object_id, old=False)


async def list_accesses(exchange: Exchange, object_id: str) -> Answer:
    """Answer the same, spelled as 4.1 to 4.3 do."""
    return await _grants(exchange, object_id, old=True)


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
        "operations": _names(held, old=old),
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


# Privileges


async def may_create(exchange: Exchange) -> Answer:
    """Answer whether the caller may create objects."""
    privileged, name = exchange.services.privileged_users, exchange.caller.name
    allowed = not privileged or name in privileged
    if not allowed:
        grants = await (await exchange.store()).grants(EVERYTHING)
        allowed = any(CREATE in grants.get(user, ()) for user in (name, EVERYONE))
    return json_answer({"has_create_permission": allowed})


async def is_privileged(exchange: Exchange) -> Answer:
    """Answer whether the caller is one of the privileged users."""
    privileged = exchange.services.privileged_users
    return json_answer({"has_privileged_access": exchange.caller.name in privileged})


ROUTES = (
    Route("GET", "/objects/owned", Who.CALLER, objects_owned),
    Route("GET", "/objects/shared", Who.CALLER, objects_shared),
    Route("GET", "/accesses/<path:object_id>", Who.CALLER, list_accesses),
    Route("POST", "/accesses/<path:object_id>", Who.CALLER, grant),
    Route("DELETE", "/accesses/<path:object_id>", Who.CALLER, revoke),
    Route("GET", "/access/owned", Who.CALLER, owned),
    Route("GET", "/access/obtained", Who.CALLER, obtained),
    Route("GET", "/access/list/<path:object_id>", Who.CALLER, list_access),
    Route("POST", "/access/grant", Who.CALLER, grant),
    Route("POST", "/access/revoke", Who.CALLER, revoke),
    Route("GET", "/access/create", Who.CALLER, may_create),
    Route("GET", "/access/privileged", Who.CALLER, is_privileged),
)
