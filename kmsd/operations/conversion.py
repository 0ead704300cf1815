"""Key formats on the way out: what Get and Export return of a key (KMIP 2.1 §4.26)."""

import msgspec

from kmsd.crypto import formats
from kmsd.kmip.enums import KeyCompressionType, KeyFormatType, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.objects import (
    KeyBlock,
    KeyValue,
    ManagedObject,
    PrivateKey,
    PublicKey,
    SymmetricKey,
    TransparentSymmetricKey,
)

_AS_STORED = frozenset({KeyFormatType.COVERCRYPT_SECRET_KEY, KeyFormatType.COVERCRYPT_PUBLIC_KEY})


def converted(
    managed_object: ManagedObject,
    wanted: KeyFormatType | None,
    compression: KeyCompressionType | None = None,
) -> ManagedObject:
    """Return an object whose key is in clear in the format `wanted`, or in its default one.

    Raises:
        KmipError: such an object is not to be had in that format.
    """
    if compression not in {None, KeyCompressionType.EC_PUBLIC_KEY_TYPE_UNCOMPRESSED}:
        raise KmipError(
            ResultReason.KEY_COMPRESSION_TYPE_NOT_SUPPORTED, "ask for the key uncompressed"
        )
    if isinstance(managed_object, SymmetricKey):
        return SymmetricKey(key_block=_symmetric(managed_object.key_block, wanted))
    if isinstance(managed_object, PrivateKey | PublicKey):
        return _asymmetric(managed_object, wanted)
    stored = getattr(getattr(managed_object, "key_block", None), "key_format_type", None)
    if wanted not in {None, stored, KeyFormatType.X509 if stored is None else None}:
        raise _unsupported(wanted)
    return managed_object


def _symmetric(block: KeyBlock, wanted: KeyFormatType | None) -> KeyBlock:
    key = formats.load_symmetric(block)
    if wanted in {None, KeyFormatType.RAW}:
        return _rewritten(block, KeyFormatType.RAW, KeyValue(key_material=key))
    if wanted is KeyFormatType.TRANSPARENT_SYMMETRIC_KEY:
        return _rewritten(block, wanted, KeyValue(key_material=TransparentSymmetricKey(key=key)))
    raise _unsupported(wanted)


def _asymmetric(key: PrivateKey | PublicKey, wanted: KeyFormatType | None) -> ManagedObject:
    block = key.key_block
    if block.key_format_type in _AS_STORED or wanted is block.key_format_type:
        return key
    load = formats.load_private if isinstance(key, PrivateKey) else formats.load_public
    parsed = load(block, trusted=True)
    wanted = wanted or formats.default_format(parsed)
    material = formats.export(parsed, wanted)
    rewritten = _rewritten(block, wanted, KeyValue(key_material=material))
    return msgspec.structs.replace(key, key_block=rewritten)


def _rewritten(block: KeyBlock, key_format: KeyFormatType, value: KeyValue) -> KeyBlock:
    return msgspec.structs.replace(
        block, key_format_type=key_format, key_value=value, key_compression_type=None
    )


def _unsupported(wanted: KeyFormatType | None) -> KmipError:
    name = wanted.wire_name if wanted else ""
    return KmipError(
        ResultReason.KEY_FORMAT_TYPE_NOT_SUPPORTED, f"unsupported: this object as {name}"
    )
