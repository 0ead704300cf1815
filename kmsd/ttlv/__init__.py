"""TTLV: tag, type, length, value. The items every KMIP message is a tree of."""

import enum
from typing import TypeAlias

import msgspec


class TtlvError(Exception):
    """A message, or a part of one, that cannot be read. The text is fit for the sender's eyes."""


class FieldError(TtlvError):
    """A field whose value is not of the kind its structure wants."""


class ItemType(enum.IntEnum):
    """The types of items. Source: KMIP 2.1 §11.23."""

    wire_name: str

    STRUCTURE = 1
    INTEGER = 2
    LONG_INTEGER = 3
    BIG_INTEGER = 4
    ENUMERATION = 5
    BOOLEAN = 6
    TEXT_STRING = 7
    BYTE_STRING = 8
    DATE_TIME = 9
    INTERVAL = 10
    DATE_TIME_EXTENDED = 11

    def __init__(self, _number: int) -> None:
        """Name the type as JSON and XML spell it."""
        self.wire_name = self._name_.title().replace("_", "")


Value: TypeAlias = "list[Item] | int | bool | str | bytes"
"""What an item holds: a Structure's children, or a leaf's value. Dates are seconds (extended ones
microseconds) since the epoch, an enumeration is a number, a wire name or a member."""


class Item(msgspec.Struct, gc=False):
    """One node of a message. Tags go by name; one without a name is `0x` and six hex digits."""

    tag: str
    type: ItemType
    value: Value

    @property
    def children(self) -> list["Item"]:
        """The items of a Structure; none of a leaf."""
        return self.value if isinstance(self.value, list) else []

    def child(self, tag: str) -> "Item | None":
        """Return the first child called `tag`, if there is one."""
        return next((child for child in self.children if child.tag == tag), None)

    def __repr__(self) -> str:
        """Show the shape only: a value may be a key."""
        inner = f"[{len(self.children)}]" if self.type is ItemType.STRUCTURE else "…"
        return f"Item({self.tag}, {self.type.wire_name}, {inner})"


def structure(tag: str, *children: Item) -> Item:
    """Make a Structure item."""
    return Item(tag, ItemType.STRUCTURE, list(children))
