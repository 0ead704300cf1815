"""From what a request names to the objects it may act on: permission, state, type, usage, dates.

This is the one place that decides who may do what. An operation's row says what it needs
(`Target`); its handler gets objects only through here, so none can forget to ask. An object that
the caller has no right to looks as if it did not exist.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

from kmsd.kmip.attributes import TAG
from kmsd.kmip.enums import CryptographicUsageMask, ObjectType, Operation, ResultReason, State
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.kmip.states import GONE, PROTECTING, effective_state
from kmsd.operations import keysets
from kmsd.operations.call import Call
from kmsd.store.interfaces import EVERYONE, Query, Record

CANDIDATES = 1_000
"""How many objects one list of tags may select."""


@dataclass(frozen=True)
class Target:
    """What an operation needs of the objects it acts on.

    `permit` are the grants any one of which suffices (an owner needs none). `states` are those of
    KMIP and `states_4` those of the product's 4.x where they differ; None allows all. `several` is
    for operations that act on every object a list of tags selects. `accepts` tells what else a key
    must be. `field` is the request's field
    that names the object. `optional` lets a request name none. `exact` takes an identifier for that
    one object, never for a key set. `hidden` treats objects in other states as if not there.
    """

    permit: frozenset[str]
    states: frozenset[State] | None = None
    states_4: frozenset[State] | None = None
    types: frozenset[ObjectType] | None = None
    usage: CryptographicUsageMask | None = None
    not_found: ResultReason = ResultReason.OBJECT_NOT_FOUND
    several: bool = False
    accepts: Callable[[Record], bool] | None = None
    field: str = "unique_identifier"
    optional: bool = False
    exact: bool = False
    hidden: bool = False


def grant_name(operation: Operation) -> str:
    """Return the name of the grant that allows `operation`: its wire name in lower case."""
    return operation.wire_name.lower()


def permitted(record: Record, caller: str, permit: frozenset[str]) -> bool:
    """Tell whether `caller` owns the object or holds one of the grants, itself or as everyone."""
    return record.owner == caller or any(
        not permit.isdisjoint(record.grants.get(grantee, ())) for grantee in (caller, EVERYONE)
    )


async def find(call: Call, operation: Operation, target: Target, named: str) -> tuple[Record, ...]:
    """Return the objects that `named`, an identifier or a JSON list of tags, stands for.

    Raises:
        KmipError: none that the caller may use, several where the operation takes one, or an
            object whose state, type, usage mask or dates forbid the operation.
    """
    candidates = [
        record
        for record in await _candidates(call, operation, target, named)
        if permitted(record, call.caller.name, target.permit)
    ]
    if not candidates:
        raise _not_found(operation, target, named)
    if len(candidates) > 1:
        candidates = _usable(call, target, candidates) or candidates
    if len(candidates) > 1 and not target.several:
        candidates = keysets.succession(operation, candidates)
    if len(candidates) > 1 and not target.several:
        if operation in keysets.PROCESSES and keysets.is_one_set(candidates):
            return _checked(call, operation, target, candidates)
        if call.generation is not Generation.V4:
            raise KmipError(
                ResultReason.INVALID_FIELD,
                f"{named} resolves to {len(candidates)} objects: name one by its identifier",
            )
        del candidates[1:]
    if not target.several:
        check(call, operation, target, candidates[0])
    return tuple(candidates)


def _checked(
    call: Call, operation: Operation, target: Target, candidates: list[Record]
) -> tuple[Record, ...]:
    """Keep those of several keys, to be tried one after the other, that may be used.

    Raises:
        KmipError: none may; what is wrong with the first one.
    """
    first_error: KmipError | None = None
    usable = []
    for record in candidates:
        try:
            check(call, operation, target, record)
        except KmipError as error:
            first_error = first_error or error
        else:
            usable.append(record)
    if first_error is not None and not usable:
        raise first_error
    return tuple(usable)


def check(call: Call, operation: Operation, target: Target, record: Record) -> None:
    """Let the operation act on `record` in its present condition.

    Raises:
        KmipError: it may not; the reason and text say why.
    """
    _check_kind(operation, target, record)
    state = effective_state(record.attributes, call.now)
    states = _states(call, target)
    if states is not None and state not in states:
        if target.hidden:
            raise _not_found(operation, target, record.unique_identifier)
        raise _wrong_state(operation, record, state, call)
    if states is not None and states <= PROTECTING:
        _check_date(record, call.now, protecting=True)
    elif target.usage is not None:
        _check_date(record, call.now, protecting=False)


def _states(call: Call, target: Target) -> frozenset[State] | None:
    return (
        target.states_4 if call.generation is Generation.V4 and target.states_4 else target.states
    )


async def _candidates(
    call: Call, operation: Operation, target: Target, named: str
) -> Sequence[Record]:
    """Return the objects under a name, whoever may see them; tags select among one's own."""
    if not named.startswith("["):
        record = await call.store.get(named)
        if target.exact or (record is not None and record.attributes.rotate_latest is not False):
            return () if record is None else (record,)
        return await keysets.members(call, operation, named, record)
    wanted = parse_tags(named)
    query = Query(
        accessible_to=call.caller.name,
        labels=tuple((TAG, tag) for tag in sorted(wanted)),
        limit=CANDIDATES,
    )
    found = (await call.store.find(query)).unique_identifiers
    records = await call.store.get_many(found)
    return [records[uid] for uid in found if uid in records]


def parse_tags(text: str) -> frozenset[str]:
    """Read a JSON list of tags.

    Raises:
        KmipError: it is none, or is empty.
    """
    try:
        names = frozenset(msgspec.json.decode(text.encode(), type=list[str]))
    except msgspec.MsgspecError:
        names = frozenset()
    if not names:
        raise KmipError(
            ResultReason.INVALID_FIELD, 'tags are written as a JSON list of texts: ["a","b"]'
        )
    return names


def _usable(call: Call, target: Target, records: list[Record]) -> list[Record]:
    """Keep those that the operation would accept."""
    usable = []
    for record in records:
        state = effective_state(record.attributes, call.now)
        states = _states(call, target)
        if (states is None or state in states) and _kind_fits(target, record):
            usable.append(record)
    return usable


def _kind_fits(target: Target, record: Record) -> bool:
    if target.types is not None and record.attributes.object_type not in target.types:
        return False
    if target.accepts is not None and not target.accepts(record):
        return False
    return target.usage is None or allows(record, target.usage)


def allows(record: Record, usage: CryptographicUsageMask) -> bool:
    """Tell whether the usage mask has one of the bits of `usage`; certificates need none."""
    mask = record.attributes.cryptographic_usage_mask
    if mask is None:
        return record.attributes.object_type is ObjectType.CERTIFICATE
    return bool(mask & (usage | CryptographicUsageMask.UNRESTRICTED))


def _check_kind(operation: Operation, target: Target, record: Record) -> None:
    if _kind_fits(target, record):
        return
    uid = record.unique_identifier
    raise KmipError(
        ResultReason.INCOMPATIBLE_CRYPTOGRAPHIC_USAGE_MASK
        if target.types is None or record.attributes.object_type in target.types
        else ResultReason.INVALID_OBJECT_TYPE,
        f"{operation.wire_name}: no valid key for id: {uid} (a key of a type and usage mask that"
        " allow it was not found there)",
    )


def _check_date(record: Record, now: int, *, protecting: bool) -> None:
    """Keep to Process Start Date and Protect Stop Date (KMIP 2.1 §4.40, §4.41)."""
    start, stop = record.attributes.process_start_date, record.attributes.protect_stop_date
    if not protecting and start is not None and now < start:
        raise KmipError(
            ResultReason.WRONG_KEY_LIFECYCLE_STATE,
            f"{record.unique_identifier} may process only from its Process Start Date on",
        )
    if protecting and ((stop is not None and now >= stop) or (start is not None and now < start)):
        raise KmipError(
            ResultReason.WRONG_KEY_LIFECYCLE_STATE,
            f"{record.unique_identifier} may protect only between its Process Start Date and its"
            " Protect Stop Date",
        )


def _wrong_state(operation: Operation, record: Record, state: State, call: Call) -> KmipError:
    if call.generation is Generation.V4:  # a 4.x server does not see what it may not use
        return KmipError(
            ResultReason.OBJECT_NOT_FOUND,
            f"object not found for identifier {record.unique_identifier}",
        )
    reason = ResultReason.WRONG_KEY_LIFECYCLE_STATE
    if state in GONE:
        reason = ResultReason.OBJECT_DESTROYED
    return KmipError(
        reason,
        f"DENIED: {operation.wire_name}: {record.unique_identifier} is in state"
        f" '{state.wire_name}', which does not allow it",
    )


def _not_found(operation: Operation, target: Target, named: str) -> KmipError:
    if target.not_found is ResultReason.ITEM_NOT_FOUND:
        text = f"{operation.wire_name}: no valid key for id: {named} (object not found)"
    else:
        text = f"object not found for identifier {named}"
    return KmipError(target.not_found, text)
