"""What a request to grant or revoke says, and which operations can be granted at all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from kmsd.kmip.enums import Operation, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.operations import OPERATIONS

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

USER_CHARACTERS = 255


def names(operations: Iterable[str], *, old: bool) -> list[str]:
    """Return operations in their order, spelled as clients up to 4.3 (`old`) or later ones do."""
    chosen = frozenset(operations)
    return [GRANTABLE[name] if old else name for name in GRANTABLE if name in chosen]


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
