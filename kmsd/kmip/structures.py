"""The structures that attributes, objects and messages share. Source: KMIP 2.1 §3 to §9."""

from kmsd.kmip import enums
from kmsd.ttlv import Item
from kmsd.ttlv.schema import LongInteger, Structure


class ProtocolVersion(Structure):
    """Source: KMIP 2.1 §9.16."""

    protocol_version_major: int
    protocol_version_minor: int


class Name(Structure):
    """Source: KMIP 2.1 §4.32."""

    name_value: str
    name_type: enums.NameType = enums.NameType.UNINTERPRETED_TEXT_STRING


class AlternativeName(Structure):
    """Source: KMIP 2.1 §4.2."""

    alternative_name_value: str
    alternative_name_type: enums.AlternativeNameType


class ApplicationSpecificInformation(Structure):
    """Source: KMIP 2.1 §4.4."""

    application_namespace: str
    application_data: str | None = None


class Link(Structure):
    """Source: KMIP 2.1 §4.31."""

    link_type: enums.LinkType
    linked_object_identifier: str | None = None


class CryptographicParameters(Structure):
    """Source: KMIP 2.1 §4.16."""

    block_cipher_mode: enums.BlockCipherMode | None = None
    padding_method: enums.PaddingMethod | None = None
    hashing_algorithm: enums.HashingAlgorithm | None = None
    key_role_type: enums.KeyRoleType | None = None
    digital_signature_algorithm: enums.DigitalSignatureAlgorithm | None = None
    cryptographic_algorithm: enums.CryptographicAlgorithm | None = None
    random_iv: bool | None = None
    iv_length: int | None = None
    tag_length: int | None = None
    fixed_field_length: int | None = None
    invocation_field_length: int | None = None
    counter_length: int | None = None
    initial_counter_value: int | None = None
    salt_length: int | None = None
    mask_generator: enums.MaskGenerator | None = None
    mask_generator_hashing_algorithm: enums.HashingAlgorithm | None = None
    p_source: bytes | None = None
    trailer_field: int | None = None


class CryptographicDomainParameters(Structure):
    """Source: KMIP 2.1 §4.14."""

    qlength: int | None = None
    recommended_curve: enums.RecommendedCurve | None = None


class Digest(Structure):
    """Source: KMIP 2.1 §4.21."""

    hashing_algorithm: enums.HashingAlgorithm
    digest_value: bytes | None = None
    key_format_type: enums.KeyFormatType | None = None


class UsageLimits(Structure):
    """Source: KMIP 2.1 §4.59."""

    usage_limits_total: LongInteger
    usage_limits_count: LongInteger | None = None
    usage_limits_unit: enums.UsageLimitsUnit | None = None


class RevocationReason(Structure):
    """Source: KMIP 2.1 §4.47."""

    revocation_reason_code: enums.RevocationReasonCode
    revocation_message: str | None = None


class RandomNumberGenerator(Structure):
    """Source: KMIP 2.1 §4.46."""

    rng_algorithm: enums.RNGAlgorithm
    cryptographic_algorithm: enums.CryptographicAlgorithm | None = None
    cryptographic_length: int | None = None
    hashing_algorithm: enums.HashingAlgorithm | None = None
    drbg_algorithm: enums.DRBGAlgorithm | None = None
    recommended_curve: enums.RecommendedCurve | None = None
    fips186_variation: enums.FIPS186Variation | None = None
    prediction_resistance: bool | None = None


class KeyValueLocation(Structure):
    """Source: KMIP 2.1 §4.27."""

    key_value_location_value: str
    key_value_location_type: enums.KeyValueLocationType


class CertificateAttributes(Structure):
    """The names in a certificate. Source: KMIP 2.1 §4.6."""

    certificate_subject_cn: str | None = None
    certificate_subject_o: str | None = None
    certificate_subject_ou: str | None = None
    certificate_subject_email: str | None = None
    certificate_subject_c: str | None = None
    certificate_subject_st: str | None = None
    certificate_subject_l: str | None = None
    certificate_subject_uid: str | None = None
    certificate_subject_serial_number: str | None = None
    certificate_subject_title: str | None = None
    certificate_subject_dc: str | None = None
    certificate_subject_dn_qualifier: str | None = None
    certificate_issuer_cn: str | None = None
    certificate_issuer_o: str | None = None
    certificate_issuer_ou: str | None = None
    certificate_issuer_email: str | None = None
    certificate_issuer_c: str | None = None
    certificate_issuer_st: str | None = None
    certificate_issuer_l: str | None = None
    certificate_issuer_uid: str | None = None
    certificate_issuer_serial_number: str | None = None
    certificate_issuer_title: str | None = None
    certificate_issuer_dc: str | None = None
    certificate_issuer_dn_qualifier: str | None = None


class X509CertificateIdentifier(Structure):
    """Source: KMIP 2.1 §4.61."""

    issuer_distinguished_name: bytes
    certificate_serial_number: bytes


class X509CertificateIssuer(Structure):
    """Source: KMIP 2.1 §4.62."""

    issuer_distinguished_name: bytes
    issuer_alternative_name: tuple[bytes, ...] = ()


class X509CertificateSubject(Structure):
    """Source: KMIP 2.1 §4.63."""

    subject_distinguished_name: bytes
    subject_alternative_name: tuple[bytes, ...] = ()


class ProtectionStorageMasks(Structure):
    """Source: KMIP 2.1 §7.33."""

    protection_storage_mask: tuple[enums.ProtectionStorageMask, ...] = ()


class Attribute(Structure):
    """A vendor attribute: the value is of any type. Source: KMIP 2.1 §4.60."""

    vendor_identification: str
    attribute_name: str
    attribute_value: Item | None = None


class AttributeReference(Structure):
    """Names a vendor attribute. Source: KMIP 2.1 §5.5."""

    vendor_identification: str
    attribute_name: str


class EncryptionKeyInformation(Structure):
    """Source: KMIP 2.1 §3.3."""

    unique_identifier: str
    cryptographic_parameters: CryptographicParameters | None = None


class MACSignatureKeyInformation(Structure):
    """Source: KMIP 2.1 §3.3."""

    unique_identifier: str
    cryptographic_parameters: CryptographicParameters | None = None


class KeyWrappingData(Structure):
    """How a stored or returned key is wrapped. Source: KMIP 2.1 §3.3."""

    wrapping_method: enums.WrappingMethod
    encryption_key_information: EncryptionKeyInformation | None = None
    mac_signature_key_information: MACSignatureKeyInformation | None = None
    mac_signature: bytes | None = None
    iv_counter_nonce: bytes | None = None
    encoding_option: enums.EncodingOption | None = None


class KeyWrappingSpecification(Structure):
    """How a key is asked to be wrapped. Source: KMIP 2.1 §7.18."""

    wrapping_method: enums.WrappingMethod
    encryption_key_information: EncryptionKeyInformation | None = None
    mac_signature_key_information: MACSignatureKeyInformation | None = None
    attribute_name: tuple[str, ...] = ()
    encoding_option: enums.EncodingOption | None = None


class ServerInformation(Structure):
    """Source: KMIP 2.1 §7.37."""

    server_name: str | None = None
    server_serial_number: str | None = None
    server_version: str | None = None
    server_load: str | None = None
    product_name: str | None = None
    build_level: str | None = None
    build_date: str | None = None
    cluster_info: str | None = None


class RNGParameters(RandomNumberGenerator):
    """A generator that the server has. Source: KMIP 2.1 §7.36."""


class ProfileVersion(Structure):
    """Source: KMIP 2.1 §7.32."""

    profile_version_major: int
    profile_version_minor: int


class ProfileInformation(Structure):
    """Source: KMIP 2.1 §7.31."""

    profile_name: enums.ProfileName
    profile_version: ProfileVersion | None = None
    server_uri: str | None = None
    server_port: int | None = None


class CapabilityInformation(Structure):
    """Source: KMIP 2.1 §7.5."""

    streaming_capability: bool | None = None
    asynchronous_capability: bool | None = None
    attestation_capability: bool | None = None
    batch_undo_capability: bool | None = None
    batch_continue_capability: bool | None = None
    unwrap_mode: enums.UnwrapMode | None = None
    destroy_action: enums.DestroyAction | None = None
    shredding_algorithm: enums.ShreddingAlgorithm | None = None
    rng_mode: enums.RNGMode | None = None
    quantum_safe_capability: bool | None = None
