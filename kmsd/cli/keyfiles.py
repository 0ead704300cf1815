"""Keys in files: the product's JSON of objects, PEM, DER, base64 and raw bytes."""

from __future__ import annotations

import base64
import re
from typing import Any, NamedTuple

import msgspec

from kmsd.cli.errors import CommandFailed
from kmsd.kmip import json_dialects
from kmsd.kmip.enums import CryptographicAlgorithm, KeyFormatType, ObjectType
from kmsd.kmip.errors import KmipError
from kmsd.kmip.json_dialects import Spelling
from kmsd.kmip.objects import (
    OBJECTS,
    TYPES,
    KeyBlock,
    KeyValue,
    ManagedObject,
    PrivateKey,
    PublicKey,
    SymmetricKey,
    TransparentSymmetricKey,
    key_block,
    key_material,
)
from kmsd.ttlv import TtlvError
from kmsd.ttlv.schema import dump, load

_PEM = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----\s*(.*?)-----END \1-----", re.DOTALL)


def to_json(managed_object: ManagedObject) -> bytes:
    """Return an object as the product's files hold it: TTLV JSON, its type as the root tag."""
    encoded = json_dialects.encode(dump(managed_object), Spelling.V4)
    text: dict[str, Any] = msgspec.json.decode(encoded)
    text["tag"] = type(managed_object).__name__
    return msgspec.json.format(msgspec.json.encode(text), indent=2) + b"\n"


def from_json(data: bytes) -> ManagedObject:
    """Read such a file, in the spelling of any version.

    Raises:
        CommandFailed: it holds no object.
    """
    try:
        item, _spelling = json_dialects.decode(data)
        kind = OBJECTS[ObjectType.of(item.tag)]
        loaded: Any = load(kind, item)
    except (TtlvError, ValueError, KeyError) as error:
        raise CommandFailed(
            f"the file is no TTLV JSON of an object ({error}): say its --key-format"
        ) from None
    managed_object: ManagedObject = loaded
    return managed_object


# Reading other forms


class _Form(NamedTuple):
    """What the bytes of an import are."""

    kind: type[Any]
    key_format: KeyFormatType


_BINARY = {
    "sec1": _Form(PrivateKey, KeyFormatType.EC_PRIVATE_KEY),
    "pkcs1-priv": _Form(PrivateKey, KeyFormatType.PKCS1),
    "pkcs1-pub": _Form(PublicKey, KeyFormatType.PKCS1),
    "pkcs8": _Form(PrivateKey, KeyFormatType.PKCS8),
    "spki": _Form(PublicKey, KeyFormatType.PKCS8),
}
_BY_LABEL = {
    "EC PRIVATE KEY": "sec1",
    "RSA PRIVATE KEY": "pkcs1-priv",
    "RSA PUBLIC KEY": "pkcs1-pub",
    "PRIVATE KEY": "pkcs8",
    "PUBLIC KEY": "spki",
}
_SYMMETRIC = {
    "aes": (CryptographicAlgorithm.AES, frozenset({16, 24, 32, 64})),  # two keys of 32 are for XTS
    "chacha20": (CryptographicAlgorithm.CHACHA20, frozenset({32})),
}
IMPORT_FORMATS = ("json-ttlv", "pem", *_BINARY, *_SYMMETRIC)


def read(data: bytes, form: str) -> ManagedObject:
    """Return the object in the bytes of a file that is in one of `IMPORT_FORMATS`.

    Raises:
        CommandFailed: it is not.
    """
    if form == "json-ttlv":
        return from_json(data)
    if form in _SYMMETRIC:
        algorithm, sizes = _SYMMETRIC[form]
        if len(data) not in sizes:
            raise CommandFailed(f"the file has {len(data)} bytes: that is no {form} key")
        return symmetric_key(data, algorithm)
    labelled = _PEM.search(data)
    if form == "pem" and labelled is None:
        raise CommandFailed("the file holds no PEM block: say its --key-format")
    if labelled is not None:
        label = labelled[1].decode()
        if label not in _BY_LABEL:
            raise CommandFailed(
                f"a PEM block {label!r} cannot be imported: known are {', '.join(_BY_LABEL)}"
            )
        form = _BY_LABEL[label] if form == "pem" else form
        data = base64.b64decode(labelled[2])
    row = _BINARY[form]
    block = KeyBlock(key_format_type=row.key_format, key_value=KeyValue(key_material=data))
    managed_object: ManagedObject = row.kind(key_block=_described(block, row.kind))
    return managed_object


def _described(block: KeyBlock, kind: type[Any]) -> KeyBlock:
    """Return a key block with the algorithm of its key. Raises: CommandFailed: it has none."""
    from kmsd.crypto import formats

    load_key: Any = formats.load_private if kind is PrivateKey else formats.load_public
    try:
        described = formats.describe(load_key(block))
    except KmipError as error:
        raise CommandFailed(f"the file holds no such key: {error}") from None
    return msgspec.structs.replace(
        block,
        cryptographic_algorithm=described.algorithm,
        cryptographic_length=described.length_bits,
    )


def symmetric_key(
    key: bytes, algorithm: CryptographicAlgorithm, *, transparent: bool = True
) -> SymmetricKey:
    """Return the object of a symmetric key."""
    value: Any = TransparentSymmetricKey(key=key) if transparent else key
    kind = KeyFormatType.TRANSPARENT_SYMMETRIC_KEY if transparent else KeyFormatType.RAW
    return SymmetricKey(
        key_block=KeyBlock(
            key_format_type=kind,
            key_value=KeyValue(key_material=value),
            cryptographic_algorithm=algorithm,
            cryptographic_length=len(key) * 8,
        )
    )


# Writing other forms


class ExportForm(NamedTuple):
    """What an export asks the server for, and what it makes of the bytes."""

    key_format: KeyFormatType | None
    encoding: str = "der"


EXPORT_FORMATS = {
    "json-ttlv": ExportForm(None, "json"),
    "sec1-pem": ExportForm(KeyFormatType.EC_PRIVATE_KEY, "pem"),
    "sec1-der": ExportForm(KeyFormatType.EC_PRIVATE_KEY),
    "pkcs1-pem": ExportForm(KeyFormatType.PKCS1, "pem"),
    "pkcs1-der": ExportForm(KeyFormatType.PKCS1),
    "pkcs8-pem": ExportForm(KeyFormatType.PKCS8, "pem"),
    "pkcs8-der": ExportForm(KeyFormatType.PKCS8),
    "spki-pem": ExportForm(KeyFormatType.PKCS8, "pem"),
    "spki-der": ExportForm(KeyFormatType.PKCS8),
    "base64": ExportForm(KeyFormatType.RAW, "base64"),
    "raw": ExportForm(KeyFormatType.RAW),
}
_LABELS = {
    (PrivateKey, KeyFormatType.EC_PRIVATE_KEY): "EC PRIVATE KEY",
    (PrivateKey, KeyFormatType.PKCS1): "RSA PRIVATE KEY",
    (PublicKey, KeyFormatType.PKCS1): "RSA PUBLIC KEY",
    (PrivateKey, KeyFormatType.PKCS8): "PRIVATE KEY",
    (PublicKey, KeyFormatType.PKCS8): "PUBLIC KEY",
}


def written(managed_object: ManagedObject, encoding: str) -> bytes:
    """Return an exported object in an encoding: json, pem, der, base64. Raises: CommandFailed."""
    if encoding == "json":
        return to_json(managed_object)
    data = material(managed_object)
    if encoding == "base64":
        return base64.b64encode(data)
    block = key_block(managed_object)
    if encoding == "pem" and block is not None:
        label = _LABELS.get((type(managed_object), block.key_format_type))
        if label is None:
            raise CommandFailed("this object has no PEM form: choose another --key-format")
        return pem(data, label)
    return data


def material(managed_object: ManagedObject) -> bytes:
    """Return the bytes that an object holds. Raises: CommandFailed: it has another form."""
    block = key_block(managed_object)
    found: Any = key_material(block) if block else None
    if isinstance(found, TransparentSymmetricKey):
        return found.key
    if not isinstance(found, bytes):
        raise CommandFailed("this object cannot be written as bytes: use json-ttlv")
    return found


def pem(data: bytes, label: str) -> bytes:
    """Return DER as PEM."""
    text = base64.b64encode(data).decode()
    lines = [text[at : at + 64] for at in range(0, len(text), 64)]
    return "\n".join([f"-----BEGIN {label}-----", *lines, f"-----END {label}-----", ""]).encode()


def type_of(managed_object: ManagedObject) -> str:
    """Return the name of an object's type."""
    return TYPES[type(managed_object)].wire_name


def is_public(managed_object: ManagedObject) -> bool:
    """Say whether everybody may read an object."""
    return TYPES[type(managed_object)] in {
        ObjectType.PUBLIC_KEY,
        ObjectType.CERTIFICATE,
        ObjectType.CERTIFICATE_REQUEST,
    }
