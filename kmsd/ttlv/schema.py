"""Typed KMIP structures: declared once, loaded from items and dumped to items.

A structure is a class whose annotated attributes are its fields, in the order of the specification:

    class Encrypt(Structure):
        unique_identifier: str | None = None
        iv_counter_nonce: bytes | None = None

The name of a field gives its tag (`IVCounterNonce`: case and underscores do not count), its type
says how its item is read and written: `int` is an Integer, `bytes` a ByteString, an enumeration an
Enumeration, `LongInteger`, `DateTime` … what they say; `tuple[X, ...]` is a field that may be
repeated, `X | Y` is told apart by the type of the item, and `Item` takes any item as it is. On
first use a class is compiled to a table of functions, so that `load` and `dump` do no reflection.

What a request carries beyond its structure is ignored when it is a KMIP tag, since every version
added some, and refused when it is not: it is then likely a slip of the pen, and to drop a misspelt
field in silence (additional data, say) would be to encrypt something else than was asked for.
"""

import enum
import functools
import types
import typing
from collections.abc import Callable
from typing import Annotated, Any, NamedTuple, TypeVar, dataclass_transform

import msgspec

from kmsd.ttlv import FieldError, Item, ItemType, TtlvError
from kmsd.ttlv.tags import TAGS, spelled

T = TypeVar("T")
S = TypeVar("S", bound="Structure")

LongInteger = Annotated[int, ItemType.LONG_INTEGER]
BigInteger = Annotated[int, ItemType.BIG_INTEGER]
Interval = Annotated[int, ItemType.INTERVAL]
DateTime = Annotated[int, ItemType.DATE_TIME]
DateTimeExtended = Annotated[int, ItemType.DATE_TIME_EXTENDED]


class _Marker(enum.Enum):
    SECRET = enum.auto()
    BY_TAG = enum.auto()


SECRET = _Marker.SECRET
"""Marks a field that `repr` leaves out: `data: Annotated[bytes | None, SECRET] = None`."""

BY_TAG = _Marker.BY_TAG
"""Marks a field whose tag tells which of several structures it is: a managed object's kind."""


class Tagged(NamedTuple):
    """Gives a field a tag that its name does not fold to: `Annotated[int, Tagged("D")]`."""

    tag: str


class _StructureMeta(msgspec.StructMeta):
    """Makes every structure frozen, with keyword arguments only."""

    def __new__(
        cls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any
    ) -> Any:
        return super().__new__(
            cls, name, bases, namespace, **{"frozen": True, "kw_only": True, **options}
        )


@dataclass_transform(kw_only_default=True)
class Structure(msgspec.Struct, metaclass=_StructureMeta):
    """Base of all typed structures: immutable, compared by value, secrets left out of `repr`."""

    @classmethod
    def adjust(cls, values: dict[str, Any]) -> None:
        """Change the loaded fields before the structure is made of them.

        For a structure in which one field decides another's type. Raises: TtlvError.
        """

    def __repr__(self) -> str:
        """Show the fields that are set and may be seen."""
        shown = (
            f"{field.name}={getattr(self, field.name)!r}"
            for field in compiled(type(self)).fields
            if not field.secret and getattr(self, field.name) not in (None, ())
        )
        return f"{type(self).__name__}({', '.join(shown)})"


Reader = Callable[[Item], Any]
Writer = Callable[[str, Any], Item]


class Field(NamedTuple):
    """One field, compiled."""

    name: str
    tag: str
    required: bool
    repeated: bool
    secret: bool
    read: Reader
    write: Writer


class Compiled(NamedTuple):
    """A structure's fields in order, and by tag."""

    fields: tuple[Field, ...]
    by_tag: dict[str, Field]


def load(cls: type[S], item: Item) -> S:
    """Make a `cls` of a Structure item.

    Raises:
        TtlvError: a required field is missing, a single one is repeated, or a tag is not KMIP's.
        FieldError: a field has a value that its type does not allow.
    """
    if item.type is not ItemType.STRUCTURE:
        raise FieldError(f"{item.tag} must be a Structure, not a {item.type.wire_name}")
    fields, by_tag = compiled(cls)
    values: dict[str, Any] = {}
    for child in item.children:
        field = by_tag.get(child.tag)
        if field is None:
            _refuse_misspelt(child.tag, item.tag)
        elif field.repeated:
            values.setdefault(field.name, []).append(field.read(child))
        elif field.name in values:
            raise TtlvError(f"{field.tag} occurs twice in {item.tag}")
        else:
            values[field.name] = field.read(child)
    _complete(fields, values, item.tag)
    cls.adjust(values)
    return cls(**values)


def _complete(fields: tuple[Field, ...], values: dict[str, Any], parent: str) -> None:
    """See that nothing required is missing, and fix the order of what is repeated."""
    for field in fields:
        if field.required and field.name not in values:
            raise TtlvError(f"missing field {field.tag} in {parent}")
        if field.repeated and field.name in values:
            values[field.name] = tuple(values[field.name])


def dump(structure: Structure, tag: str | None = None) -> Item:
    """Make an item of a structure, called `tag` or, if that is not given, as its class."""
    children: list[Item] = []
    for field in compiled(type(structure)).fields:
        value = getattr(structure, field.name)
        if value is None:
            continue
        if field.repeated:
            children += [field.write(field.tag, each) for each in value]
        else:
            children.append(field.write(field.tag, value))
    return Item(tag or tag_of(type(structure)), ItemType.STRUCTURE, children)


def tag_of(cls: type[Structure]) -> str:
    """Return the tag of a structure that stands by itself: its name, as KMIP spells it."""
    return spelled(cls.__name__)


@functools.cache
def compiled(cls: type[Structure]) -> Compiled:
    """Return the tables that `load` and `dump` work with."""
    hints = typing.get_type_hints(cls, include_extras=True)
    defaults = msgspec.structs.fields(cls)
    fields = tuple(_field(row.name, hints[row.name], required=row.required) for row in defaults)
    by_tag = {field.tag: field for field in fields}
    for field in fields:
        by_tag |= {
            tag_of(kind): field._replace(read=functools.partial(load, kind))
            for kind in _kinds(hints[field.name])
        }
    return Compiled(fields, by_tag)


def _kinds(hint: Any) -> list[type[Structure]]:
    """Return the structures that a field marked BY_TAG may hold."""
    if typing.get_origin(hint) is not Annotated or BY_TAG not in typing.get_args(hint)[1:]:
        return []
    return _options(typing.get_args(hint)[0])


def _refuse_misspelt(tag: str, parent: str) -> None:
    if tag not in TAGS and not tag.startswith("0x"):
        raise TtlvError(f"unknown field {tag!r} in {parent}")


def _field(name: str, hint: Any, *, required: bool) -> Field:
    """Compile one field from its annotation."""
    marks = typing.get_args(hint)[1:] if typing.get_origin(hint) is Annotated else ()
    bare = hint if marks and isinstance(marks[0], ItemType) else _unmarked(hint)
    repeated = typing.get_origin(bare) is tuple
    if repeated:
        bare = typing.get_args(bare)[0]
    alternatives = [_any_structure()] if BY_TAG in marks else [*map(_codec, _options(bare))]
    return Field(
        name=name,
        tag=_tagged(marks) or spelled(name),
        required=required,
        repeated=repeated,
        secret=SECRET in marks,
        read=alternatives[0].read if len(alternatives) == 1 else _read_one_of(alternatives),
        write=_write_by_tag
        if BY_TAG in marks
        else alternatives[0].write
        if len(alternatives) == 1
        else _write_one_of(alternatives),
    )


def _unmarked(hint: Any) -> Any:
    return typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint


def _write_by_tag(_tag: str, value: Structure) -> Item:
    return dump(value)


def _tagged(marks: tuple[Any, ...]) -> str | None:
    return next((mark.tag for mark in marks if isinstance(mark, Tagged)), None)


def _options(hint: Any) -> list[Any]:
    """Return the members of a union without None, or the one type there is."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return [option for option in typing.get_args(hint) if option is not type(None)]
    return [hint]


class _Codec(NamedTuple):
    """How values of one Python type are read and written."""

    python_type: type
    item_types: frozenset[ItemType]
    read: Reader
    write: Writer


_INTEGERS = frozenset({ItemType.INTEGER, ItemType.LONG_INTEGER, ItemType.INTERVAL})

# What may stand for what: clients disagree on the width of counts and lengths, not on their value.
_ACCEPTED: dict[ItemType, frozenset[ItemType]] = {
    ItemType.INTEGER: _INTEGERS,
    ItemType.LONG_INTEGER: _INTEGERS,
    ItemType.INTERVAL: _INTEGERS,
}
_BITS = {ItemType.INTEGER: 31, ItemType.LONG_INTEGER: 63, ItemType.INTERVAL: 32}

_PLAIN: dict[Any, ItemType] = {
    str: ItemType.TEXT_STRING,
    bytes: ItemType.BYTE_STRING,
    int: ItemType.INTEGER,
    bool: ItemType.BOOLEAN,
}


def _codec(hint: Any) -> _Codec:
    """Return the codec of one type of field."""
    if typing.get_origin(hint) is Annotated:
        python_type, item_type, *_ = typing.get_args(hint)
        return _leaf(python_type, item_type)
    if hint is Item:
        return _Codec(Item, frozenset(ItemType), lambda item: item, _write_item)
    if hint in _PLAIN:
        return _leaf(hint, _PLAIN[hint])
    if issubclass(hint, Structure):
        return _any_structure() if hint is Structure else _nested(hint)
    return _mask(hint) if issubclass(hint, enum.IntFlag) else _enumeration(hint)


def _write_item(tag: str, item: Item) -> Item:
    return item if item.tag == tag else Item(tag, item.type, item.value)


def _leaf(python_type: type, item_type: ItemType) -> _Codec:
    accepted = _ACCEPTED.get(item_type, frozenset({item_type}))
    limit = 1 << _BITS[item_type] if item_type in _BITS else None

    def read(item: Item) -> Any:
        value = item.value
        if item.type not in accepted:
            raise _wrong_type(item, item_type.wire_name)
        if limit is not None and not (isinstance(value, int) and -limit <= value < limit):
            raise FieldError(f"{item.tag} is out of range")
        return value

    def write(tag: str, value: Any) -> Item:
        return Item(tag, item_type, value)

    return _Codec(python_type, accepted, read, write)


def _nested(cls: type[Structure]) -> _Codec:
    return _Codec(
        cls,
        frozenset({ItemType.STRUCTURE}),
        functools.partial(load, cls),
        lambda tag, value: dump(value, tag),
    )


def _any_structure() -> _Codec:
    """A structure that another field decides on: read as its item, for `adjust` to load."""
    return _Codec(
        Structure,
        frozenset({ItemType.STRUCTURE}),
        lambda item: item,
        lambda tag, value: dump(value, tag),
    )


def _mask(cls: type[enum.IntFlag]) -> _Codec:
    """Masks are Integers; JSON and XML may name their bits; some clients call them enumerations."""

    def read(item: Item) -> enum.IntFlag:
        if item.type not in accepted:
            raise _wrong_type(item, ItemType.INTEGER.wire_name)
        if isinstance(item.value, str):
            return functools.reduce(
                cls.__or__, map(bit, item.value.replace("|", " ").split()), cls(0)
            )
        return cls(typing.cast("int", item.value) & 0xFFFFFFFF)

    def bit(name: str) -> enum.IntFlag:
        try:
            return cls(int(name, 16)) if name.startswith("0x") else bits[name.lower()]
        except (KeyError, ValueError):
            raise FieldError(f"{name!r} is not a bit of {cls.__name__}") from None

    accepted = frozenset({ItemType.INTEGER, ItemType.ENUMERATION})
    bits = {member.name.replace("_", "").lower(): member for member in cls if member.name}
    return _Codec(cls, accepted, read, lambda tag, value: Item(tag, ItemType.INTEGER, int(value)))


def _enumeration(cls: Any) -> _Codec:
    def read(item: Item) -> Any:
        if item.type is not ItemType.ENUMERATION:
            raise _wrong_type(item, ItemType.ENUMERATION.wire_name)
        try:
            return cls.of(item.value)
        except ValueError as error:
            raise FieldError(f"{item.tag}: {error}") from None

    return _Codec(
        cls,
        frozenset({ItemType.ENUMERATION}),
        read,
        lambda tag, value: Item(tag, ItemType.ENUMERATION, value),
    )


def _read_one_of(alternatives: list[_Codec]) -> Reader:
    """Choose by the type of the item; the first alternative that takes it wins."""
    by_type = {
        item_type: codec.read for codec in reversed(alternatives) for item_type in codec.item_types
    }

    def read(item: Item) -> Any:
        reader = by_type.get(item.type)
        if reader is None:
            raise _wrong_type(item, " or ".join(sorted(each.wire_name for each in by_type)))
        return reader(item)

    return read


def _write_one_of(alternatives: list[_Codec]) -> Writer:
    """Choose by the type of the value."""

    def write(tag: str, value: Any) -> Item:
        for codec in alternatives:
            if isinstance(value, codec.python_type):
                return codec.write(tag, value)
        raise TypeError(f"{tag} cannot hold a {type(value).__name__}")

    return write


def _wrong_type(item: Item, wanted: str) -> FieldError:
    message = f"{item.tag} must be of type {wanted}, not {item.type.wire_name}"
    return FieldError(message)
