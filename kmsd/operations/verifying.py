"""What Signature Verify and MAC Verify ask of their key: first its state, then its kind."""

import dataclasses
import functools
from typing import Any

from kmsd.kmip.enums import Operation, ResultReason, ValidityIndicator
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.operations import keysets
from kmsd.operations.call import Call
from kmsd.operations.row import Handler
from kmsd.operations.target import Target, check
from kmsd.store.interfaces import Record
from kmsd.ttlv.schema import Structure


def choosing(operation: Operation, target: Target, handler: Handler) -> Handler:
    """Make a handler that acts on a key of the call's targets that may be used.

    The clients' suites want the state told before the kind where both are wrong. So the operation's
    row takes `several`, which leaves all of that to this function. The keys of one key set are
    tried one after the other.

    Raises:
        KmipError: there are several keys, or the state, type, usage mask or dates forbid it.
    """
    tried = keysets.trying_each(handler)

    @functools.wraps(handler)
    async def chosen(call: Call, request: Any) -> Structure:
        call.targets = _usable(call, operation, target)
        response: Structure = await tried(call, request)
        return response

    return chosen


def _usable(call: Call, operation: Operation, target: Target) -> tuple[Record, ...]:
    records = keysets.succession(operation, list(call.targets))
    if not keysets.is_one_set(records):
        if call.generation is not Generation.V4:
            raise KmipError(
                ResultReason.INVALID_FIELD,
                f"these tags resolve to {len(records)} keys: name one by its identifier",
            )
        del records[1:]
    refused: list[KmipError] = []
    usable = []
    for record in records:
        try:
            _check(call, operation, target, record)
        except KmipError as error:
            refused.append(error)
        else:
            usable.append(record)
    if not usable:
        raise refused[0]
    return tuple(usable)


def _check(call: Call, operation: Operation, target: Target, record: Record) -> None:
    check(call, operation, dataclasses.replace(target, types=None, usage=None), record)
    check(call, operation, target, record)


def told(*, valid: bool) -> ValidityIndicator:
    """Return how KMIP says whether something is valid."""
    return ValidityIndicator.VALID if valid else ValidityIndicator.INVALID
