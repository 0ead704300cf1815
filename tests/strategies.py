"""Hypothesis strategies made from the schema: a Structure is generated from its declaration."""

import enum
import types
import typing
from typing import Annotated, Any

from hypothesis import strategies as st

from kmsd.kmip.enums import KeyFormatType
from kmsd.kmip.objects import TRANSPARENT, KeyBlock, KeyMaterial, KeyValue
from kmsd.ttlv import Item, ItemType
from kmsd.ttlv.schema import Structure, compiled

_RANGES = {
    ItemType.INTEGER: 31,
    ItemType.LONG_INTEGER: 63,
    ItemType.BIG_INTEGER: 200,
    ItemType.DATE_TIME: 40,
    ItemType.DATE_TIME_EXTENDED: 60,
}
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=12)


def structures(cls: type[Structure]) -> st.SearchStrategy[Any]:
    """Return a strategy for instances of `cls`."""
    if cls is KeyBlock:
        return _key_blocks()
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = compiled(cls).fields
    required = {f.name: values(hints[f.name], f.tag) for f in fields if f.required}
    optional = {f.name: values(hints[f.name], f.tag) for f in fields if not f.required}
    return st.fixed_dictionaries(required, optional=optional).map(lambda given: cls(**given))


@st.composite
def _key_blocks(draw: st.DrawFn) -> KeyBlock:
    """Draw key blocks whose material is what their format says."""
    key_format = draw(st.sampled_from(KeyFormatType))
    transparent = TRANSPARENT.get(key_format)
    material = st.binary(max_size=20) if transparent is None else structures(transparent)
    return KeyBlock(
        key_format_type=key_format,
        key_value=draw(st.builds(KeyValue, key_material=material) | st.binary(max_size=9)),
        cryptographic_length=draw(st.none() | st.integers(0, 4096)),
    )


def values(hint: Any, tag: str) -> st.SearchStrategy[Any]:
    """Return a strategy for the values of the field called `tag` with the annotation `hint`."""
    if hint == KeyMaterial | None:
        return st.binary(max_size=9)
    if typing.get_origin(hint) is Annotated:
        first, *marks = typing.get_args(hint)
        number = isinstance(marks[0], ItemType)
        return _numbers(marks[0]) if number else values(first, tag)
    if typing.get_origin(hint) is tuple:
        return st.lists(values(typing.get_args(hint)[0], tag), min_size=1, max_size=3).map(tuple)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        options = [option for option in typing.get_args(hint) if option is not type(None)]
        return st.one_of([values(option, tag) for option in options])
    return _plain(hint, tag)


def _numbers(item_type: ItemType) -> st.SearchStrategy[int]:
    if item_type is ItemType.INTERVAL:
        return st.integers(0, (1 << 32) - 1)
    bits = _RANGES[item_type]
    if item_type is ItemType.BIG_INTEGER:  # the 4.x JSON has no negative ones
        return st.integers(0, (1 << bits) - 1)
    return st.integers(-(1 << bits), (1 << bits) - 1)


def _plain(hint: Any, tag: str) -> st.SearchStrategy[Any]:
    simple: dict[Any, st.SearchStrategy[Any]] = {
        str: TEXT,
        bytes: st.binary(max_size=20),
        bool: st.booleans(),
        int: _numbers(ItemType.INTEGER),
        Item: st.builds(Item, st.just(tag), st.just(ItemType.TEXT_STRING), TEXT),
    }
    if hint in simple:
        return simple[hint]
    if issubclass(hint, enum.IntFlag):
        return st.integers(0, (1 << 24) - 1).map(hint)
    if issubclass(hint, Structure):
        return structures(hint)
    return st.sampled_from(list(hint))
