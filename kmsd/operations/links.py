"""Links between objects: at most one of each type that the server sets. Source: KMIP 2.1 §4.31."""

import msgspec

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import LinkType
from kmsd.kmip.structures import Link
from kmsd.store.interfaces import Record


def linked(record: Record, link_type: LinkType) -> str | None:
    """Return the identifier that an object's link of a type points to."""
    return linked_by(record.attributes, link_type)


def linked_by(attributes: Attributes, link_type: LinkType) -> str | None:
    """Return the identifier that a link of a type points to."""
    for link in attributes.link:
        if link.link_type is link_type:
            return link.linked_object_identifier
    return None


def with_link(attributes: Attributes, link_type: LinkType, unique_identifier: str) -> Attributes:
    """Set the link of a type, in its place among the others or behind them."""
    new = Link(link_type=link_type, linked_object_identifier=unique_identifier)
    links = [new if each.link_type is link_type else each for each in attributes.link]
    if new not in links:
        links.append(new)
    return msgspec.structs.replace(attributes, link=tuple(links))


def with_first_link(
    attributes: Attributes, link_type: LinkType, unique_identifier: str
) -> Attributes:
    """Set the link of a type before all others: clients that follow a rotation read the first."""
    new = Link(link_type=link_type, linked_object_identifier=unique_identifier)
    others = (link for link in attributes.link if link.link_type is not link_type)
    return msgspec.structs.replace(attributes, link=(new, *others))
