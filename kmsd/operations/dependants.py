"""The keys that are wrapped by a key: wrapped anew when it is replaced."""

from collections.abc import AsyncIterator, Mapping

from kmsd.kmip.enums import LinkType, ResultReason, State
from kmsd.kmip.errors import KmipError
from kmsd.operations import wrapping
from kmsd.operations.call import Call
from kmsd.operations.links import linked
from kmsd.operations.wrapping import Replacement
from kmsd.store.interfaces import Query, Record, Replace

_PAGE = 500
LARGEST = 10_000
"""How many keys are wrapped anew with the one that wraps them, in the same transaction."""


async def rewrapped(call: Call, replacements: Mapping[str, Replacement]) -> list[Replace]:
    """Return the changes that wrap anew, whoever owns it, all that replaced keys wrap.

    `replacements` goes by the identifiers under which the old keys wrap.

    Keys stay as they are under a key whose successor is not active yet: a key that is deactivated
    still unwraps.

    Raises:
        KmipError: there are more than can be changed at once, or one cannot be unwrapped.
    """
    changes: list[Replace] = []
    for uid, replacement in replacements.items():
        if replacement.wraps.attributes.state is not State.ACTIVE:
            continue
        async for record in _wrapped_by(call, uid):
            try:
                changes.append(Replace(await wrapping.rewrapped(call, record, replacement)))
            except KmipError as error:
                if error.reason is not ResultReason.CRYPTOGRAPHIC_FAILURE:
                    raise
                continue  # it says so, but the key does not wrap it: nothing is lost
            if len(changes) > LARGEST:
                raise KmipError(
                    ResultReason.SERVER_LIMIT_EXCEEDED,
                    f"{uid} wraps more than {LARGEST} keys: they cannot all be wrapped anew at"
                    " once",
                )
    return changes


async def _wrapped_by(call: Call, uid: str) -> AsyncIterator[Record]:
    """Go through the objects that are wrapped by a key."""
    labels = (
        ("Link.LinkType", str(int(LinkType.WRAPPING_KEY_LINK))),
        ("Link.LinkedObjectIdentifier", uid),
    )
    offset = 0
    while True:
        query = Query(labels=labels, limit=_PAGE, offset=offset)
        found = (await call.store.find(query)).unique_identifiers
        records = await call.store.get_many(found)
        for each in found:
            record = records.get(each)
            if record is not None and _depends(record, uid):
                yield record
        offset += _PAGE
        if len(found) < _PAGE:
            return


def _depends(record: Record, uid: str) -> bool:
    """Tell whether the key is really wrapped by this one: links can be set by clients."""
    return (
        linked(record, LinkType.WRAPPING_KEY_LINK) == uid
        and wrapping.is_wrapped(record.managed_object)
        and wrapping.wrapping_key(record) == uid
    )
