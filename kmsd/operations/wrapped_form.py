"""What is wrapped of a key, in both encodings, and the key block made of it again.

No Encoding wraps the bytes of the key alone. TTLV Encoding wraps the Key Value with its attributes:
as binary TTLV, or for a 4.x client as the JSON text that its servers wrap under that name. What is
unwrapped tells by its first byte which of the two it is.

Source: KMIP 2.1 §3.3; the product, 4.x, for the text.
"""

from typing import Any

import msgspec

from kmsd.crypto import formats
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import EncodingOption, KeyFormatType, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.kmip.objects import (
    TRANSPARENT,
    KeyBlock,
    KeyValue,
    TransparentECPrivateKey,
    TransparentECPublicKey,
    TransparentSymmetricKey,
    key_material,
)
from kmsd.operations import key_value_text
from kmsd.ttlv import TtlvError, binary_format
from kmsd.ttlv.schema import dump, load


def plain(block: KeyBlock, encoding: EncodingOption, generation: Generation) -> bytes:
    """Return what is wrapped of a key block in clear.

    Raises:
        KmipError: it holds no key.
    """
    if encoding is EncodingOption.TTLV_ENCODING and isinstance(block.key_value, KeyValue):
        if generation is Generation.V4:
            return key_value_text.encode(block.key_value)
        return binary_format.encode(dump(block.key_value))
    material = key_material(block)
    if material is None:
        raise KmipError(ResultReason.KEY_VALUE_NOT_PRESENT, "the object holds no key to wrap")
    if isinstance(material, bytes):
        return material
    if isinstance(material, TransparentSymmetricKey):
        return material.key
    if isinstance(material, TransparentECPublicKey):
        return material.q_string
    key = formats.load_private if _is_private(block) else formats.load_public
    return formats.wrapped_form(key(block, trusted=True))


def _is_private(block: KeyBlock) -> bool:
    return "PRIVATE" in block.key_format_type.name


def restored(
    block: KeyBlock, unwrapped: bytes, attributes: Attributes, encoding: EncodingOption | None
) -> KeyBlock:
    """Return the key block in clear, made of what was unwrapped.

    Raises:
        KmipError: it is not what the encoding says.
    """
    if encoding is EncodingOption.TTLV_ENCODING:
        key_value = _key_value(block, unwrapped)
        return msgspec.structs.replace(block, key_value=key_value, key_wrapping_data=None)
    key_format, material = _material(block.key_format_type, unwrapped, attributes)
    kept = block.key_value.attributes if isinstance(block.key_value, KeyValue) else None
    return msgspec.structs.replace(
        block,
        key_format_type=key_format,
        key_value=KeyValue(key_material=material, attributes=kept),
        key_wrapping_data=None,
    )


def _key_value(block: KeyBlock, unwrapped: bytes) -> KeyValue:
    try:
        if unwrapped.startswith(b"{"):
            return key_value_text.decode(unwrapped, block.key_format_type)
        loaded = load(KeyValue, binary_format.decode(unwrapped))
        values: dict[str, Any] = {
            "key_format_type": block.key_format_type,
            "key_value": loaded,
        }
        KeyBlock.adjust(values)
    except TtlvError:
        raise KmipError(
            ResultReason.ENCODING_OPTION_ERROR, "what was unwrapped is not a Key Value"
        ) from None
    key_value: KeyValue = values["key_value"]
    return key_value


def _material(
    key_format: KeyFormatType, unwrapped: bytes, attributes: Attributes
) -> tuple[KeyFormatType, Any]:
    """Return the format and material that bytes wrapped without encoding stand for."""
    if key_format is KeyFormatType.TRANSPARENT_SYMMETRIC_KEY:
        return key_format, TransparentSymmetricKey(key=unwrapped)
    kind = TRANSPARENT.get(key_format)
    domain = attributes.cryptographic_domain_parameters
    curve = domain.recommended_curve if domain else None
    if kind is TransparentECPrivateKey and curve is not None:
        number = int.from_bytes(unwrapped)
        return key_format, TransparentECPrivateKey(recommended_curve=curve, d=number)
    if kind is TransparentECPublicKey and curve is not None:
        return key_format, TransparentECPublicKey(recommended_curve=curve, q_string=unwrapped)
    if kind is not None and "RSA" in key_format.name:
        return KeyFormatType.PKCS1, unwrapped
    return key_format, unwrapped
