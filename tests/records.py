"""Records for the tests of stores."""

from typing import Any

import msgspec

from kmsd.kmip import structures
from kmsd.kmip.attributes import Attributes, with_tags
from kmsd.kmip.enums import CryptographicAlgorithm, KeyFormatType, NameType, ObjectType, State
from kmsd.kmip.objects import KeyBlock, KeyValue, SymmetricKey
from kmsd.store.interfaces import Record


def key(material: bytes = b"k" * 32) -> SymmetricKey:
    """Return an AES key."""
    return SymmetricKey(
        key_block=KeyBlock(
            key_format_type=KeyFormatType.RAW,
            key_value=KeyValue(key_material=material),
            cryptographic_algorithm=CryptographicAlgorithm.AES,
            cryptographic_length=len(material) * 8,
        )
    )


def name(text: str) -> structures.Name:
    """Return a Name attribute."""
    return structures.Name(name_value=text, name_type=NameType.UNINTERPRETED_TEXT_STRING)


def record(
    uid: str,
    owner: str = "alice",
    *,
    tags: tuple[str, ...] = (),
    names: tuple[str, ...] = (),
    managed_object: SymmetricKey | None = None,
    **attributes: Any,
) -> Record:
    """Return an Active AES key of `owner`; `attributes` change or add to its attributes."""
    values: dict[str, Any] = {
        "object_type": ObjectType.SYMMETRIC_KEY,
        "cryptographic_algorithm": CryptographicAlgorithm.AES,
        "cryptographic_length": 256,
        "state": State.ACTIVE,
        "activation_date": 1000,
        "name": tuple(map(name, names)),
    }
    return Record(
        unique_identifier=uid,
        owner=owner,
        attributes=with_tags(Attributes(**(values | attributes)), frozenset(tags)),
        managed_object=managed_object or key(),
    )


def changed(found: Record, **attributes: Any) -> Record:
    """Return `found` with other attributes."""
    return msgspec.structs.replace(
        found, attributes=msgspec.structs.replace(found.attributes, **attributes)
    )
