"""Who may do what with an object: granting, revoking and listing, for both generations of clients.

4.1 to 4.3 know `/accesses/{id}` with PascalCase operations, 4.4 and later `/access/…` with
lower-case ones; both read and write the same grants. Only the owner of an object may grant, revoke
and list; whether an object exists is nobody else's business, so an unknown one is refused in the
same words as a foreign one.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from twisted.logger import Logger

from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.operations.scopes import GRANT_ACCESS, LIST_ACCESS, REVOKE_ACCESS
from kmsd.resources.access_request import Access, names, read_access
from kmsd.resources.headers import request_id_of
from kmsd.resources.route import Answer, Exchange, Route, Who, json_answer
from kmsd.store.interfaces import EVERYONE, NoSuchObject, StoreError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kmsd.store.interfaces import IStore, Record

CREATE = "create"
EVERYTHING = "*"
"""The identifier under which the right to create, which is tied to no object, is kept."""

_audit = Logger(namespace="kmsd.audit")


async def grant(exchange: Exchange, **_path: str) -> Answer:
    """Let another user, or everyone, do something with an object of the caller's."""
    return await _changed(exchange, "grant", "added")


async def revoke(exchange: Exchange, **_path: str) -> Answer:
    """Take rights away again."""
    return await _changed(exchange, "revoke", "deleted")


async def _changed(exchange: Exchange, verb: str, done: str) -> Answer:
    """Change rights and write the audit event, whatever comes of it."""
    access, started = read_access(exchange.body), time.perf_counter()
    reason = None
    try:
        await _change(exchange, access, verb)
    except KmipError as error:
        reason = error.reason
        raise
    except StoreError:
        reason = ResultReason.GENERAL_FAILURE
        raise
    finally:
        _record(exchange, access, verb, reason, time.perf_counter() - started)
    return json_answer({"success": f"Access for {access.user_id} successfully {done}"})


def _record(
    exchange: Exchange, access: Access, verb: str, reason: ResultReason | None, seconds: float
) -> None:
    """Write an event of the shape that operations have (`kmsd.audit`), with what was granted."""
    caller = exchange.caller
    _audit.info(
        "{caller} {operation} {unique_identifier} {grantee} {granted} {result_status}"
        " {result_reason} {duration_ms}ms",
        caller=caller.name,
        mechanism=caller.mechanism,
        door=caller.door,
        address=caller.address,
        operation=f"{verb.title()}Access",
        unique_identifier=access.unique_identifier or "",
        grantee=access.user_id,
        granted=",".join(sorted(access.operations)),
        result_status="Success" if reason is None else "OperationFailed",
        result_reason="" if reason is None else reason.wire_name,
        duration_ms=round(seconds * 1_000, 3),
        correlation=request_id_of(exchange.request),
    )


async def _change(exchange: Exchange, access: Access, verb: str) -> None:
    store = await exchange.store()
    change = store.grant if verb == "grant" else store.ungrant
    for uid, operations in await _permitted(exchange, store, access, verb):
        try:
            await change(uid, access.user_id, operations)
        except NoSuchObject:  # it has gone since
            raise _not_owned(exchange, uid) from None


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


async def _grants(exchange: Exchange, uid: str, *, old: bool) -> Answer:
    store = await exchange.store()
    await _owned_record(exchange, store, uid)
    grants: Mapping[str, frozenset[str]] = await store.grants(uid)
    return json_answer(
        [
            {"user_id": user, "operations": names(operations, old=old)}
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
    Route("GET", "/accesses/<path:object_id>", Who.CALLER, list_accesses, needs=LIST_ACCESS),
    Route("POST", "/accesses/<path:object_id>", Who.CALLER, grant, needs=GRANT_ACCESS),
    Route("DELETE", "/accesses/<path:object_id>", Who.CALLER, revoke, needs=REVOKE_ACCESS),
    Route("GET", "/access/list/<path:object_id>", Who.CALLER, list_access, needs=LIST_ACCESS),
    Route("POST", "/access/grant", Who.CALLER, grant, needs=GRANT_ACCESS),
    Route("POST", "/access/revoke", Who.CALLER, revoke, needs=REVOKE_ACCESS),
    Route("GET", "/access/create", Who.CALLER, may_create, needs=None),
    Route("GET", "/access/privileged", Who.CALLER, is_privileged, needs=None),
)
