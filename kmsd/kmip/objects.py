"""The managed objects and what they are made of. Source: KMIP 2.1 §2, §3."""

from typing import Annotated, Any, TypeAlias

from kmsd.kmip import enums
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import KeyFormatType
from kmsd.kmip.structures import KeyWrappingData
from kmsd.ttlv import FieldError, Item
from kmsd.ttlv.schema import SECRET, BigInteger, Structure, load


class TransparentSymmetricKey(Structure):
    """Source: KMIP 2.1 §3.4."""

    key: Annotated[bytes, SECRET]


class TransparentDSAPrivateKey(Structure):
    """Source: KMIP 2.1 §3.5."""

    p: BigInteger
    q: BigInteger
    g: BigInteger
    x: Annotated[BigInteger, SECRET]


class TransparentDSAPublicKey(Structure):
    """Source: KMIP 2.1 §3.6."""

    p: BigInteger
    q: BigInteger
    g: BigInteger
    y: BigInteger


class TransparentRSAPrivateKey(Structure):
    """Source: KMIP 2.1 §3.7."""

    modulus: BigInteger
    private_exponent: Annotated[BigInteger | None, SECRET] = None
    public_exponent: BigInteger | None = None
    p: Annotated[BigInteger | None, SECRET] = None
    q: Annotated[BigInteger | None, SECRET] = None
    prime_exponent_p: Annotated[BigInteger | None, SECRET] = None
    prime_exponent_q: Annotated[BigInteger | None, SECRET] = None
    crt_coefficient: Annotated[BigInteger | None, SECRET] = None


class TransparentRSAPublicKey(Structure):
    """Source: KMIP 2.1 §3.8."""

    modulus: BigInteger
    public_exponent: BigInteger


class TransparentDHPrivateKey(Structure):
    """Source: KMIP 2.1 §3.9."""

    p: BigInteger
    q: BigInteger | None = None
    g: BigInteger
    j: BigInteger | None = None
    x: Annotated[BigInteger, SECRET]


class TransparentDHPublicKey(Structure):
    """Source: KMIP 2.1 §3.10."""

    p: BigInteger
    q: BigInteger | None = None
    g: BigInteger
    j: BigInteger | None = None
    y: BigInteger


class TransparentECPrivateKey(Structure):
    """Source: KMIP 2.1 §3.11."""

    recommended_curve: enums.RecommendedCurve
    d: Annotated[BigInteger, SECRET]


class TransparentECPublicKey(Structure):
    """Source: KMIP 2.1 §3.12."""

    recommended_curve: enums.RecommendedCurve
    q_string: bytes


# The structure that a transparent key format means. The formats that 1.x had for each use of an
# elliptic curve key hold the same as the ones that replaced them.
TRANSPARENT: dict[KeyFormatType, type[Structure]] = {
    KeyFormatType.TRANSPARENT_SYMMETRIC_KEY: TransparentSymmetricKey,
    KeyFormatType.TRANSPARENT_DSA_PRIVATE_KEY: TransparentDSAPrivateKey,
    KeyFormatType.TRANSPARENT_DSA_PUBLIC_KEY: TransparentDSAPublicKey,
    KeyFormatType.TRANSPARENT_RSA_PRIVATE_KEY: TransparentRSAPrivateKey,
    KeyFormatType.TRANSPARENT_RSA_PUBLIC_KEY: TransparentRSAPublicKey,
    KeyFormatType.TRANSPARENT_DH_PRIVATE_KEY: TransparentDHPrivateKey,
    KeyFormatType.TRANSPARENT_DH_PUBLIC_KEY: TransparentDHPublicKey,
    KeyFormatType.TRANSPARENT_ECDSA_PRIVATE_KEY: TransparentECPrivateKey,
    KeyFormatType.TRANSPARENT_ECDSA_PUBLIC_KEY: TransparentECPublicKey,
    KeyFormatType.TRANSPARENT_ECDH_PRIVATE_KEY: TransparentECPrivateKey,
    KeyFormatType.TRANSPARENT_ECDH_PUBLIC_KEY: TransparentECPublicKey,
    KeyFormatType.TRANSPARENT_ECMQV_PRIVATE_KEY: TransparentECPrivateKey,
    KeyFormatType.TRANSPARENT_ECMQV_PUBLIC_KEY: TransparentECPublicKey,
    KeyFormatType.TRANSPARENT_EC_PRIVATE_KEY: TransparentECPrivateKey,
    KeyFormatType.TRANSPARENT_EC_PUBLIC_KEY: TransparentECPublicKey,
}

KeyMaterial: TypeAlias = bytes | Structure
"""Bytes (of Raw, PKCS#8 … and of every wrapped key), or one of the transparent structures."""


class KeyValue(Structure):
    """A key in clear, or wrapped without its attributes. Source: KMIP 2.1 §3.2."""

    key_material: Annotated[KeyMaterial | None, SECRET] = None
    attributes: Attributes | None = None


class KeyBlock(Structure):
    """Source: KMIP 2.1 §3.1."""

    key_format_type: KeyFormatType
    key_compression_type: enums.KeyCompressionType | None = None
    key_value: Annotated[KeyValue | bytes | None, SECRET] = None
    cryptographic_algorithm: enums.CryptographicAlgorithm | None = None
    cryptographic_length: int | None = None
    key_wrapping_data: KeyWrappingData | None = None

    @classmethod
    def adjust(cls, values: dict[str, Any]) -> None:
        """Read the key material as the key format type says. Raises: TtlvError."""
        key_value = values.get("key_value")
        material: object = getattr(key_value, "key_material", None)
        if not isinstance(key_value, KeyValue) or not isinstance(material, Item):
            return
        transparent = TRANSPARENT.get(values["key_format_type"])
        if transparent is None:
            message = (
                f"KeyMaterial does not fit KeyFormatType {values['key_format_type'].wire_name}"
            )
            raise FieldError(message)
        values["key_value"] = KeyValue(
            key_material=load(transparent, material), attributes=key_value.attributes
        )


class SymmetricKey(Structure):
    """Source: KMIP 2.1 §2.9."""

    key_block: KeyBlock


class PublicKey(Structure):
    """Source: KMIP 2.1 §2.6."""

    key_block: KeyBlock


class PrivateKey(Structure):
    """Source: KMIP 2.1 §2.5."""

    key_block: KeyBlock


class Template(Structure):
    """Attributes under a name, for KMIP 1.x only. Source: KMIP 1.4 §2.2.6."""

    attributes: Attributes = Attributes()


class PGPKey(Structure):
    """Source: KMIP 2.1 §2.4."""

    pgp_key_version: int
    key_block: KeyBlock


class SplitKey(Structure):
    """Source: KMIP 2.1 §2.8."""

    split_key_parts: int
    key_part_identifier: int
    split_key_threshold: int
    split_key_method: enums.SplitKeyMethod
    prime_field_size: BigInteger | None = None
    key_block: KeyBlock


class SecretData(Structure):
    """Source: KMIP 2.1 §2.7."""

    secret_data_type: enums.SecretDataType
    key_block: KeyBlock


class OpaqueObject(Structure):
    """Source: KMIP 2.1 §2.3."""

    opaque_data_type: enums.OpaqueDataType
    opaque_data_value: Annotated[bytes, SECRET]


class Certificate(Structure):
    """Source: KMIP 2.1 §2.1."""

    certificate_type: enums.CertificateType
    certificate_value: bytes


class CertificateRequest(Structure):
    """Source: KMIP 2.1 §2.2."""

    certificate_request_type: enums.CertificateRequestType
    certificate_request_value: bytes


OBJECTS: dict[enums.ObjectType, type[Structure]] = {
    enums.ObjectType.CERTIFICATE: Certificate,
    enums.ObjectType.SYMMETRIC_KEY: SymmetricKey,
    enums.ObjectType.PUBLIC_KEY: PublicKey,
    enums.ObjectType.PRIVATE_KEY: PrivateKey,
    enums.ObjectType.SPLIT_KEY: SplitKey,
    enums.ObjectType.TEMPLATE: Template,
    enums.ObjectType.SECRET_DATA: SecretData,
    enums.ObjectType.OPAQUE_OBJECT: OpaqueObject,
    enums.ObjectType.PGP_KEY: PGPKey,
    enums.ObjectType.CERTIFICATE_REQUEST: CertificateRequest,
}
TYPES: dict[type[Structure], enums.ObjectType] = {cls: kind for kind, cls in OBJECTS.items()}

ManagedObject: TypeAlias = (
    Certificate
    | SymmetricKey
    | PublicKey
    | PrivateKey
    | SplitKey
    | Template
    | SecretData
    | OpaqueObject
    | PGPKey
    | CertificateRequest
)


def key_block(managed_object: ManagedObject | None) -> KeyBlock | None:
    """Return the key block of an object that has one."""
    return getattr(managed_object, "key_block", None)


def key_material(block: KeyBlock) -> KeyMaterial | None:
    """Return what a key block holds: the wrapped bytes or the material in clear."""
    if isinstance(block.key_value, KeyValue):
        return block.key_value.key_material
    return block.key_value
