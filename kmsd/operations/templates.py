"""Templates: attributes under a name, which KMIP 1.x requests refer to (1.4 §2.2.6)."""

import msgspec

from kmsd.kmip import attributes as attribute_rules
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import ObjectType, ResultReason, State
from kmsd.kmip.errors import KmipError
from kmsd.kmip.objects import Template
from kmsd.kmip.states import GONE
from kmsd.kmip.structures import Name
from kmsd.kmip.versions import TEMPLATE_NAME
from kmsd.operations.call import Call
from kmsd.operations.loading import loaded
from kmsd.store.interfaces import Query
from kmsd.ttlv import Item


async def expanded(call: Call, payload: Item) -> Item:
    """Return a request with the attributes of the templates in the place of their names.

    What the request says itself counts more than a template, a later template more than an
    earlier one.

    Raises:
        KmipError: there is no template of that name.
    """
    children = [
        await _filled(call, child) if child.child(TEMPLATE_NAME) else child
        for child in payload.children
    ]
    return Item(payload.tag, payload.type, children)


async def _filled(call: Call, attributes: Item) -> Item:
    own = [child for child in attributes.children if child.tag != TEMPLATE_NAME]
    names = [child for child in attributes.children if child.tag == TEMPLATE_NAME]
    for name in reversed(names):
        present = {child.tag for child in own}
        template = await _found(call, loaded(Name, name))
        own += [item for item in attribute_rules.as_items(template) if item.tag not in present]
    return Item(attributes.tag, attributes.type, own)


async def _found(call: Call, name: Name) -> Attributes:
    labels = attribute_rules.labels(Attributes(name=(name,)))
    query = Query(
        accessible_to=call.caller.name,
        labels=tuple((label.name, label.value) for label in labels),
        object_type=ObjectType.TEMPLATE,
        states=frozenset(State) - GONE,
        now=call.now,
        limit=1,
    )
    found = (await call.store.find(query)).unique_identifiers
    record = await call.store.get(found[0]) if found else None
    if record is None or not isinstance(record.managed_object, Template):
        raise KmipError(
            ResultReason.ITEM_NOT_FOUND, f"there is no template called {name.name_value}"
        )
    return msgspec.structs.replace(record.managed_object.attributes, name=())
