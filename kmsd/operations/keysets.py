"""Key sets: a key and its successors, addressed by one name.

A key whose Rotate Name is its own identifier opens a key set of that name. Each Re-key adds a
generation (`name@1`, `name@2`, …). `name@latest`, `name@first` and `name@N` name one generation for
any operation. The bare name is the identifier of the first generation; to an operation that
protects it means the newest generation that may, and to one that processes it means all of them,
newest first, to be tried one after the other: what was protected under a key that has been replaced
since is still found.

Only the server gives identifiers of the form `name@…`, and only objects of one owner make a set:
nobody can slip a key of theirs into a set of another's.

Source: the product's key sets; KMIP 2.1 §4.48 to §4.54.
"""

import functools
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import LinkType, Operation, ResultReason, ValidityIndicator
from kmsd.kmip.errors import KmipError
from kmsd.kmip.states import GONE, PROTECTING, effective_state
from kmsd.operations.call import Call
from kmsd.operations.links import linked
from kmsd.store.interfaces import Query, Record

PROTECTS = frozenset(
    {
        Operation.ENCRYPT,
        Operation.SIGN,
        Operation.MAC,
        Operation.REKEY,
        Operation.REKEY_KEY_PAIR,
    }
)
"""The operations to which the name of a key set means its newest key."""
PROCESSES = frozenset({Operation.DECRYPT, Operation.SIGNATURE_VERIFY, Operation.MAC_VERIFY})
"""The operations that try the keys of a set one after the other."""

GENERATIONS = 1_000
"""How many generations of a key set are looked at."""

_VERSION = re.compile(r"(?P<name>.+)@(?P<version>latest|first|\d{1,9})", re.DOTALL)
_GENERATION = re.compile(r"(?P<name>.+)@\d{1,9}(?P<half>_pk)?", re.DOTALL)


def is_reserved(unique_identifier: str) -> bool:
    """Tell whether an identifier has the form of those that the server gives to generations."""
    return bool(_VERSION.fullmatch(unique_identifier) or _GENERATION.fullmatch(unique_identifier))


def check_name(unique_identifier: str, attributes: Attributes) -> None:
    """Let an object open the key set that its Rotate Name names.

    Raises:
        KmipError: the name is not the identifier of the object.
    """
    name = attributes.rotate_name
    if name is None:
        return
    if "@" in name:
        raise _bad_name("rotate_name must not contain '@'")
    if name != unique_identifier:
        raise _bad_name("rotate_name must be the key's base UID: set the key ID to the keyset name")


def _bad_name(message: str) -> KmipError:
    return KmipError(ResultReason.INVALID_ATTRIBUTE_VALUE, message)


async def members(
    call: Call, operation: Operation, named: str, itself: Record | None
) -> Sequence[Record]:
    """Return the keys that `named` stands for in an operation; `itself` has it as identifier."""
    if itself is not None:
        if itself.attributes.rotate_name != named or operation not in PROTECTS | PROCESSES:
            return (itself,)
        return _suitable(call, operation, await generations(call, named))
    versioned = _VERSION.fullmatch(named)
    if versioned is not None:
        found = await generations(call, versioned["name"])
        return _numbered(found, versioned["version"])
    if operation in PROTECTS | PROCESSES:  # the first generation may be gone for good
        return _suitable(call, operation, await generations(call, named))
    return ()


async def generations(call: Call, name: str) -> list[Record]:
    """Return the keys of a key set, oldest first."""
    query = Query(labels=(("RotateName", name),), limit=GENERATIONS)
    found = (await call.store.find(query)).unique_identifiers
    records = await call.store.get_many([uid for uid in found if uid == name or _base(uid) == name])
    ordered = sorted(records.values(), key=_generation)
    return [record for record in ordered if record.owner == ordered[0].owner]


def _base(unique_identifier: str) -> str | None:
    """Return the name of the key set of which this is the identifier of a later generation."""
    match = _GENERATION.fullmatch(unique_identifier)
    return match["name"] + (match["half"] or "") if match else None


def _generation(record: Record) -> int:
    return record.attributes.rotate_generation or 0


def _numbered(found: list[Record], version: str) -> list[Record]:
    present = [each for each in found if each.attributes.state not in GONE]
    if version == "latest":
        return present[-1:]
    if version == "first":
        return found[:1]
    return [each for each in found if _generation(each) == int(version)]


def _suitable(call: Call, operation: Operation, found: list[Record]) -> list[Record]:
    """Return, newest first, all that may process, or the one that protects."""
    newest_first = found[::-1]
    if operation in PROCESSES:
        return newest_first
    present = [each for each in newest_first if each.attributes.state not in GONE]
    if operation in {Operation.REKEY, Operation.REKEY_KEY_PAIR}:
        return present[:1] or newest_first[:1]
    active = [each for each in present if effective_state(each.attributes, call.now) in PROTECTING]
    return active[:1] or present[:1] or newest_first[:1]


def succession(operation: Operation, records: list[Record]) -> list[Record]:
    """Return which of several objects an operation acts on if they replaced one another.

    Objects under the same tags that are a key and its successors count as one: the newest alone,
    or all of them, newest first, where they are to be tried. Others are returned as they are.
    """
    if not is_one_set(records):
        return records
    newest_first = sorted(records, key=_generation, reverse=True)
    return newest_first if operation in PROCESSES else newest_first[:1]


def is_one_set(records: Sequence[Record]) -> bool:
    """Tell whether objects are a key and its successors, one after the other."""
    uids = {record.unique_identifier for record in records}
    successors = {linked(record, LinkType.REPLACEMENT_OBJECT_LINK) for record in records}
    return len(uids - successors) == 1 and len(uids & successors) == len(uids) - 1


Handler = Callable[[Call, Any], Awaitable[Any]]


def trying_each(handler: Handler) -> Handler:
    """Make a handler that processes with each of the call's targets until one key fits."""

    @functools.wraps(handler)
    async def tried(call: Call, request: Any) -> Any:
        *others, last = call.targets[:1] if _is_part(request) else call.targets
        for target in others:
            call.targets = (target,)
            response = await _fitting(handler, call, request)
            if response is not None:
                return response
        call.targets = (last,)
        return await handler(call, request)

    return tried


async def _fitting(handler: Handler, call: Call, request: Any) -> Any:
    """Return the response if the key is the right one, else None."""
    try:
        response = await handler(call, request)
    except KmipError as error:
        if error.reason is ResultReason.CRYPTOGRAPHIC_FAILURE:
            return None
        raise
    valid = getattr(response, "validity_indicator", None) is not ValidityIndicator.INVALID
    return response if valid else None


def _is_part(request: Any) -> bool:
    """Tell whether data come in parts: what is processed already is not processed again."""
    return getattr(request, "correlation_value", None) is not None or bool(
        getattr(request, "init_indicator", None)
    )
