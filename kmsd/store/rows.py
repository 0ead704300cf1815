"""Records as rows: the columns that are searched, and two blobs of binary TTLV for the rest."""

import hashlib
from typing import Any, cast

import msgspec

from kmsd.kmip.attributes import Attributes, labels
from kmsd.kmip.enums import State
from kmsd.kmip.objects import TYPES, ManagedObject
from kmsd.store.interfaces import NotStorable, Record, StoreDamaged
from kmsd.ttlv import TtlvError
from kmsd.ttlv.binary_format import decode, encode
from kmsd.ttlv.schema import Structure, dump, load, tag_of

IDENTIFIER_BYTES = 128
NAME_BYTES = 255
OBJECT_BYTES = 7_600_000  # which escaping may double: MariaDB takes statements of 16 MiB

DATES = (
    "activation_date",
    "deactivation_date",
    "process_start_date",
    "protect_stop_date",
    "initial_date",
    "original_creation_date",
    "last_change_date",
    "archive_date",
    "compromise_date",
    "compromise_occurrence_date",
    "destroy_date",
    "rotate_date",
)
"""The attributes that are columns of their own to be searched by range."""

SEARCHED = ("object_type", "cryptographic_algorithm", "cryptographic_length", "state", *DATES)
COLUMNS = ("uid", "owner", *SEARCHED, "version", "attributes", "object")

_CLASSES: dict[str, type[Structure]] = {tag_of(cls): cls for cls in TYPES}
_HASHED = "sha256:"


LabelRow = tuple[str, str, int | None]


class Row(msgspec.Struct, frozen=True):
    """A record made ready for the database."""

    columns: tuple[Any, ...]
    labels: frozenset[LabelRow]


def checked(text: str, limit_bytes: int, what: str) -> str:
    """Return `text` if every database can keep it as a key.

    Raises:
        NotStorable: it is empty, too long, or has characters that are no text.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise NotStorable(f"{what} is not valid Unicode") from None
    if not 0 < size <= limit_bytes or "\0" in text:
        raise NotStorable(f"{what} must have 1 to {limit_bytes} bytes, none of them zero")
    return text


def findable(text: str) -> bool:
    """Tell whether any key in a database can be equal to `text`."""
    try:
        checked(text, NAME_BYTES, "")
    except NotStorable:
        return False
    return True


def label_text(text: str) -> str:
    """Return a label's name or value as its column keeps it: by its hash when it does not fit."""
    raw = text.encode("utf-8", "surrogatepass")
    clean = raw.decode("utf-8", "ignore") == text and 0 not in raw
    if clean and len(raw) <= NAME_BYTES and not text.startswith(_HASHED):
        return text
    return _HASHED + hashlib.sha256(raw).hexdigest()


def row(record: Record, version: int) -> Row:
    """Make a record ready to be stored as `version`.

    Raises:
        NotStorable: its identifier or owner is too long, or the object too large.
    """
    attributes = record.attributes
    blob = encode(dump(attributes))
    material = None if record.managed_object is None else encode(dump(record.managed_object))
    if len(blob) + len(material or b"") > OBJECT_BYTES:
        raise NotStorable(f"an object with its attributes may have at most {OBJECT_BYTES} bytes")
    columns = (
        checked(record.unique_identifier, IDENTIFIER_BYTES, "the unique identifier"),
        checked(record.owner, NAME_BYTES, "the owner's name"),
        attributes.object_type,
        attributes.cryptographic_algorithm,
        attributes.cryptographic_length,
        attributes.state or State.PRE_ACTIVE,
        *(getattr(attributes, date) for date in DATES),
        version,
        blob,
        material,
    )
    return Row(tuple(map(_column, columns)), _labels(attributes))


def _column(value: Any) -> Any:
    """Hand the drivers plain integers: they know no enumerations."""
    return int(value) if isinstance(value, int) else value


def _labels(attributes: Attributes) -> frozenset[LabelRow]:
    found: dict[tuple[str, str], int | None] = {}
    for label in labels(attributes):
        key = (label_text(label.name), label_text(label.value))
        if found.get(key) is None:
            found[key] = _long(label.number)
    return frozenset((name, value, number) for (name, value), number in found.items())


def _long(number: int | None) -> int | None:
    """Return a number that the column can keep; no range reaches for others."""
    return number if number is not None and -(1 << 63) <= number < 1 << 63 else None


def text(value: Any) -> str:
    """Return a key column's text; MySQL keeps it as bytes."""
    return value if isinstance(value, str) else bytes(value).decode()


def record(found: tuple[Any, ...], grants: dict[str, frozenset[str]]) -> Record:
    """Make a record of a row (uid, owner, version, attributes, object).

    Raises:
        StoreDamaged: the row does not hold what was stored.
    """
    uid, owner, version, attributes, material = found
    try:
        return Record(
            unique_identifier=text(uid),
            owner=text(owner),
            attributes=load(Attributes, decode(bytes(attributes))),
            managed_object=None if material is None else _object(bytes(material)),
            grants=grants,
            version=version,
        )
    except (TtlvError, KeyError, UnicodeDecodeError):
        raise StoreDamaged(f"the object {uid!r} is damaged: restore it from a backup") from None


def _object(blob: bytes) -> ManagedObject:
    item = decode(blob)
    return cast("ManagedObject", load(_CLASSES[item.tag], item))
