"""The objects that share a fate: the two halves of a key pair."""

from kmsd.kmip.enums import LinkType, ObjectType
from kmsd.kmip.generations import Generation
from kmsd.operations.call import Call
from kmsd.operations.target import permitted
from kmsd.store.interfaces import Record

_HALVES = frozenset({LinkType.PUBLIC_KEY_LINK, LinkType.PRIVATE_KEY_LINK})


async def with_other_halves(
    call: Call, records: tuple[Record, ...], permit: frozenset[str]
) -> list[Record]:
    """Return the records, and after them the other halves that the caller may act on too.

    KMIP by the book knows no such fate: its clients revoke and destroy each half themselves.
    A certificate links to the keys that it is for and is no half of theirs.
    """
    if call.generation is Generation.KMIP:
        return list(records)
    linked = [
        link.linked_object_identifier
        for record in records
        if record.attributes.object_type is not ObjectType.CERTIFICATE
        for link in record.attributes.link
        if link.link_type in _HALVES and link.linked_object_identifier
    ]
    named = {record.unique_identifier for record in records}
    others = await call.store.get_many([uid for uid in dict.fromkeys(linked) if uid not in named])
    halves = [other for other in others.values() if permitted(other, call.caller.name, permit)]
    return [*records, *halves]
