"""The names in a certificate: in KMIP each is an attribute, behind the edge they are one structure.

The product's clients have the structure, so this is for messages by the book only.
Source: KMIP 2.1 §4.6.
"""

from kmsd.kmip.structures import CertificateAttributes
from kmsd.ttlv import Item, ItemType, structure
from kmsd.ttlv.schema import compiled

PARTS: dict[str, str] = {field.tag: field.name for field in compiled(CertificateAttributes).fields}
"""Tag → field of the attributes that are part of the one structure."""

_WHOLE = "CertificateAttributes"
_HOLDERS = frozenset({"Attributes", "NewAttribute", "CurrentAttribute"})


def gathered(item: Item) -> Item:
    """Return a request with the names of a certificate in one structure, wherever they stand."""
    if item.type is not ItemType.STRUCTURE:
        return item
    children = [gathered(child) for child in item.children]
    if item.tag in _HOLDERS and any(child.tag in PARTS for child in children):
        parts = [child for child in children if child.tag in PARTS]
        others = [child for child in children if child.tag not in PARTS]
        children = [structure(_WHOLE, *parts), *others]
    return Item(item.tag, item.type, children)


def spread(item: Item) -> Item:
    """Return a response with the names of a certificate one by one."""
    if item.type is not ItemType.STRUCTURE:
        return item
    children: list[Item] = []
    for child in item.children:
        if child.tag == _WHOLE and item.tag in _HOLDERS:
            children += child.children
        else:
            children.append(spread(child))
    return Item(item.tag, item.type, children)
