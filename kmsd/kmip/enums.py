"""The enumerations and masks of KMIP 2.1 §11, with the product's extensions, as tables.

A row reads `MEMBER = number, "WireName", "since"`: the wire name is the JSON spelling of the
product's clients (left out where it equals the member), `since` the KMIP version that brought the
value (left out for 1.0). Numbers from 0x80000000 up are extensions. The profiles' XML spellings
differ by case and underscores only, which `Enumeration.of` forgives.
"""

import enum
import functools
import re
from typing import Self

_FOLD = re.compile(r"[^a-z0-9]")


def fold(name: str) -> str:
    """Reduce a spelling to what distinguishes it: `P-256`, `p256` and `P_256` are one name."""
    return _FOLD.sub("", name.lower())


class Enumeration(enum.IntEnum):
    """A KMIP enumeration: an int (the number on the wire) that knows its wire name."""

    wire_name: str
    since: str

    def __new__(cls, number: int, wire_name: str = "", since: str = "1.0") -> Self:
        """Make the member `number`; an empty `wire_name` means the member's own name."""
        member = int.__new__(cls, number)
        member._value_ = number
        member.wire_name = wire_name
        member.since = since
        return member

    def __init__(self, *_row: object) -> None:
        """Fill in the wire name where the table leaves it out."""
        self.wire_name = self.wire_name or self._name_

    @classmethod
    def _missing_(cls, value: object) -> "Enumeration | None":
        """Keep a vendor's own number, which KMIP allows from 0x80000000 to 0x8FFFFFFF."""
        if not isinstance(value, int) or value >> 28 != 0x8:  # noqa: PLR2004
            return None
        member = int.__new__(cls, value)
        member._name_ = member.wire_name = f"0x{value:08X}"
        member._value_ = value
        member.since = "1.0"
        return member

    @classmethod
    def of(cls, value: int | str) -> Self:
        """Return the member for a number, a wire name or any spelling that folds to one.

        Raises:
            ValueError: no member is called so.
        """
        if not isinstance(value, str):
            return cls(value)
        exact, folded = _names(cls)
        member = exact.get(value, folded.get(fold(value)))
        if member is None:
            message = f"{value!r} is not a value of {cls.__name__}"
            raise ValueError(message)
        return cls(member)


@functools.cache
def _names(cls: type[Enumeration]) -> tuple[dict[str, Enumeration], dict[str, Enumeration]]:
    """Return the members of `cls` by wire name, and by every folded spelling."""
    exact = {member.wire_name: member for member in cls}
    folded = {fold(member.name): member for member in cls}
    folded |= {fold(name): member for name, member in exact.items()}
    folded |= {fold(name): cls[to] for name, to in _OTHER_SPELLINGS.get(cls.__name__, {}).items()}
    return exact, folded


# Spellings that do not fold to a member's own: the profiles' and some clients' ways to write it.
_OTHER_SPELLINGS: dict[str, dict[str, str]] = {
    "CryptographicAlgorithm": {"DES3": "THREE_DES", "3DES": "THREE_DES", "McEliece": "MCELIECE"},
    "KeyFormatType": {"Pkcs12Legacy": "PKCS12_LEGACY"},
    "MaskGenerator": {"MFG1": "MGF1"},
    "RecommendedCurve": {
        "secp192r1": "P192",
        "secp224r1": "P224",
        "secp256r1": "P256",
        "secp384r1": "P384",
        "secp521r1": "P521",
        "prime256v1": "P256",
    },
}


class AdjustmentType(Enumeration):
    """Source: KMIP 2.1 §11.1."""

    INCREMENT = 0x01, "Increment", "2.0"
    DECREMENT = 0x02, "Decrement", "2.0"
    NEGATE = 0x03, "Negate", "2.0"


class AlternativeNameType(Enumeration):
    """Source: KMIP 2.1 §11.2."""

    UNINTERPRETED_TEXT_STRING = 0x01, "UninterpretedTextString", "1.2"
    URI = 0x02, "URI", "1.2"
    OBJECT_SERIAL_NUMBER = 0x03, "ObjectSerialNumber", "1.2"
    EMAIL_ADDRESS = 0x04, "EmailAddress", "1.2"
    DNS_NAME = 0x05, "DNSName", "1.2"
    X500_DISTINGUISHED_NAME = 0x06, "X500DistinguishedName", "1.2"
    IP_ADDRESS = 0x07, "IPAddress", "1.2"


class AsynchronousIndicator(Enumeration):
    """Source: KMIP 2.1 §11.3."""

    MANDATORY = 0x01, "Mandatory", "2.0"
    OPTIONAL = 0x02, "Optional", "2.0"
    PROHIBITED = 0x03, "Prohibited", "2.0"


class AttestationType(Enumeration):
    """Source: KMIP 2.1 §11.4."""

    TPM_QUOTE = 0x01, "TPMQuote", "1.2"
    TCG_INTEGRITY_REPORT = 0x02, "TCGIntegrityReport", "1.2"
    SAML_ASSERTION = 0x03, "SAMLAssertion", "1.2"


class BatchErrorContinuationOption(Enumeration):
    """Source: KMIP 2.1 §11.5."""

    CONTINUE = 0x01, "Continue"
    STOP = 0x02, "Stop"
    UNDO = 0x03, "Undo"


class BlockCipherMode(Enumeration):
    """Source: KMIP 2.1 §11.6."""

    CBC = 0x01
    ECB = 0x02
    PCBC = 0x03
    CFB = 0x04
    OFB = 0x05
    CTR = 0x06
    CMAC = 0x07
    CCM = 0x08
    GCM = 0x09
    CBC_MAC = 0x0A, "CBCMAC"
    XTS = 0x0B
    AES_KEY_WRAP_PADDING = 0x0C, "AESKeyWrapPadding"
    NIST_KEY_WRAP = 0x0D, "NISTKeyWrap"
    X9_102_AESKW = 0x0E, "X9102AESKW"
    X9_102_TDKW = 0x0F, "X9102TDKW"
    X9_102_AKW1 = 0x10, "X9102AKW1"
    X9_102_AKW2 = 0x11, "X9102AKW2"
    AEAD = 0x12, "AEAD", "1.4"
    GCM_SIV = 0x80000002, "GCMSIV"
    LEGACY_NIST_KEY_WRAP = 0x8000000D, "LegacyNISTKeyWrap"


class CancellationResult(Enumeration):
    """Source: KMIP 2.1 §11.7."""

    CANCELED = 0x01, "Canceled"
    UNABLE_TO_CANCEL = 0x02, "UnableToCancel"
    COMPLETED = 0x03, "Completed"
    FAILED = 0x04, "Failed"
    UNAVAILABLE = 0x05, "Unavailable"


class CertificateRequestType(Enumeration):
    """Source: KMIP 2.1 §11.8."""

    CRMF = 0x01
    PKCS10 = 0x02
    PEM = 0x03
    PGP = 0x04


class CertificateType(Enumeration):
    """Source: KMIP 2.1 §11.9."""

    X509 = 0x01
    PGP = 0x02
    PKCS7 = 0x80000001


class ClientRegistrationMethod(Enumeration):
    """Source: KMIP 2.1 §11.10."""

    UNSPECIFIED = 0x01, "Unspecified", "1.3"
    SERVER_PRE_GENERATED = 0x02, "ServerPreGenerated", "1.3"
    SERVER_ON_DEMAND = 0x03, "ServerOnDemand", "1.3"
    CLIENT_GENERATED = 0x04, "ClientGenerated", "1.3"
    CLIENT_REGISTERED = 0x05, "ClientRegistered", "1.3"


class CredentialType(Enumeration):
    """Source: KMIP 2.1 §11.11."""

    USERNAME_AND_PASSWORD = 0x01, "UsernameAndPassword"
    DEVICE = 0x02, "Device", "1.1"
    ATTESTATION = 0x03, "Attestation", "1.2"
    ONE_TIME_PASSWORD = 0x04, "OneTimePassword", "2.0"
    HASHED_PASSWORD = 0x05, "HashedPassword", "2.0"
    TICKET = 0x06, "Ticket", "2.0"


class CryptographicAlgorithm(Enumeration):
    """Source: KMIP 2.1 §11.12."""

    DES = 0x01
    THREE_DES = 0x02
    AES = 0x03
    RSA = 0x04
    DSA = 0x05
    ECDSA = 0x06
    HMAC_SHA1 = 0x07, "HMACSHA1"
    HMAC_SHA224 = 0x08, "HMACSHA224"
    HMAC_SHA256 = 0x09, "HMACSHA256"
    HMAC_SHA384 = 0x0A, "HMACSHA384"
    HMAC_SHA512 = 0x0B, "HMACSHA512"
    HMAC_MD5 = 0x0C, "HMACMD5"
    DH = 0x0D
    ECDH = 0x0E
    ECMQV = 0x0F
    BLOWFISH = 0x10, "Blowfish"
    CAMELLIA = 0x11, "Camellia"
    CAST5 = 0x12
    IDEA = 0x13
    MARS = 0x14
    RC2 = 0x15
    RC4 = 0x16
    RC5 = 0x17
    SKIPJACK = 0x18
    TWOFISH = 0x19, "Twofish"
    EC = 0x1A, "EC", "1.2"
    ONE_TIME_PAD = 0x1B, "OneTimePad", "1.3"
    CHACHA20 = 0x1C, "ChaCha20", "1.4"
    POLY1305 = 0x1D, "Poly1305", "1.4"
    CHACHA20_POLY1305 = 0x1E, "ChaCha20Poly1305", "1.4"
    SHA3_224 = 0x1F, "SHA3224", "1.4"
    SHA3_256 = 0x20, "SHA3256", "1.4"
    SHA3_384 = 0x21, "SHA3384", "1.4"
    SHA3_512 = 0x22, "SHA3512", "1.4"
    HMAC_SHA3_224 = 0x23, "HMACSHA3224", "1.4"
    HMAC_SHA3_256 = 0x24, "HMACSHA3256", "1.4"
    HMAC_SHA3_384 = 0x25, "HMACSHA3384", "1.4"
    HMAC_SHA3_512 = 0x26, "HMACSHA3512", "1.4"
    SHAKE128 = 0x27, "SHAKE128", "1.4"
    SHAKE256 = 0x28, "SHAKE256", "1.4"
    ARIA = 0x29, "ARIA", "2.0"
    SEED = 0x2A, "SEED", "2.0"
    SM2 = 0x2B, "SM2", "2.0"
    SM3 = 0x2C, "SM3", "2.0"
    SM4 = 0x2D, "SM4", "2.0"
    GOSTR34102012 = 0x2E, "GOSTR34102012", "2.0"
    GOSTR34112012 = 0x2F, "GOSTR34112012", "2.0"
    GOSTR34132015 = 0x30, "GOSTR34132015", "2.0"
    GOST2814789 = 0x31, "GOST2814789", "2.0"
    XMSS = 0x32, "XMSS", "2.0"
    SPHINCS_256 = 0x33, "SPHINCS_256", "2.0"
    MCELIECE = 0x34, "Page166Of230McEliece", "2.0"
    MCELIECE_6960119 = 0x35, "McEliece6960119", "2.0"
    MCELIECE_8192128 = 0x36, "McEliece8192128", "2.0"
    ED25519 = 0x37, "Ed25519", "2.0"
    ED448 = 0x38, "Ed448", "2.0"
    ML_KEM_512 = 0x39, "MLKEM_512"
    ML_KEM_768 = 0x3A, "MLKEM_768"
    ML_KEM_1024 = 0x3B, "MLKEM_1024"
    ML_DSA_44 = 0x3C, "MLDSA_44"
    ML_DSA_65 = 0x3D, "MLDSA_65"
    ML_DSA_87 = 0x3E, "MLDSA_87"
    SLH_DSA_SHA2_128S = 0x3F, "SLHDSA_SHA2_128s"
    SLH_DSA_SHA2_128F = 0x40, "SLHDSA_SHA2_128f"
    SLH_DSA_SHA2_192S = 0x41, "SLHDSA_SHA2_192s"
    SLH_DSA_SHA2_192F = 0x42, "SLHDSA_SHA2_192f"
    SLH_DSA_SHA2_256S = 0x43, "SLHDSA_SHA2_256s"
    SLH_DSA_SHA2_256F = 0x44, "SLHDSA_SHA2_256f"
    SLH_DSA_SHAKE_128S = 0x45, "SLHDSA_SHAKE_128s"
    SLH_DSA_SHAKE_128F = 0x46, "SLHDSA_SHAKE_128f"
    SLH_DSA_SHAKE_192S = 0x47, "SLHDSA_SHAKE_192s"
    SLH_DSA_SHAKE_192F = 0x48, "SLHDSA_SHAKE_192f"
    SLH_DSA_SHAKE_256S = 0x49, "SLHDSA_SHAKE_256s"
    SLH_DSA_SHAKE_256F = 0x4A, "SLHDSA_SHAKE_256f"
    FPE_FF1 = 0x88800001
    CONFIGURABLE_KEM = 0x88800003, "ConfigurableKEM"
    COVERCRYPT = 0x88800004, "CoverCrypt"
    COVERCRYPT_BULK = 0x88800005, "CoverCryptBulk"
    X25519_MLKEM768 = 0x88800006, "X25519MLKEM768"
    X448_MLKEM1024 = 0x88800007, "X448MLKEM1024"


class DRBGAlgorithm(Enumeration):
    """Source: KMIP 2.1 §11.17."""

    UNSPECIFIED = 0x01, "Unspecified", "1.3"
    DUAL_EC = 0x02, "DualEC", "1.3"
    HASH = 0x03, "Hash", "1.3"
    HMAC = 0x04, "HMAC", "1.3"
    CTR = 0x05, "CTR", "1.3"


class DerivationMethod(Enumeration):
    """Source: KMIP 2.1 §11.14."""

    PBKDF2 = 0x01
    HASH = 0x02
    HMAC = 0x03
    ENCRYPT = 0x04
    NIST800_108_C = 0x05, "NIST800_108C"
    NIST800_108_F = 0x06, "NIST800_108F"
    NIST800_108_DPI = 0x07, "NIST800_108DPI"
    ASYMMETRIC_KEY = 0x08, "AsymmetricKey", "1.4"
    AWS_SIGNATURE_VERSION_4 = 0x09, "AWSSignatureVersion4", "2.0"
    HKDF = 0x0A, "HKDF", "2.0"


class DestroyAction(Enumeration):
    """Source: KMIP 2.1 §11.15."""

    UNSPECIFIED = 0x01, "Unspecified", "1.3"
    KEY_MATERIAL_DELETED = 0x02, "KeyMaterialDeleted", "1.3"
    KEY_MATERIAL_SHREDDED = 0x03, "KeyMaterialShredded", "1.3"
    METADATA_DELETED = 0x04, "MetaDataDeleted", "1.3"
    METADATA_SHREDDED = 0x05, "MetaDataShredded", "1.3"
    DELETED = 0x06, "Deleted", "1.3"
    SHREDDED = 0x07, "Shredded", "1.3"


class DigitalSignatureAlgorithm(Enumeration):
    """Source: KMIP 2.1 §11.16."""

    MD2_WITH_RSA_ENCRYPTION = 0x01, "MD2WithRSAEncryption", "2.0"
    MD5_WITH_RSA_ENCRYPTION = 0x02, "MD5WithRSAEncryption", "2.0"
    SHA1_WITH_RSA_ENCRYPTION = 0x03, "SHA1WithRSAEncryption", "2.0"
    SHA224_WITH_RSA_ENCRYPTION = 0x04, "SHA224WithRSAEncryption", "2.0"
    SHA256_WITH_RSA_ENCRYPTION = 0x05, "SHA256WithRSAEncryption", "2.0"
    SHA384_WITH_RSA_ENCRYPTION = 0x06, "SHA384WithRSAEncryption", "2.0"
    SHA512_WITH_RSA_ENCRYPTION = 0x07, "SHA512WithRSAEncryption", "2.0"
    RSASSAPSS = 0x08, "RSASSAPSS", "2.0"
    DSA_WITH_SHA1 = 0x09, "DSAWithSHA1", "1.1"
    DSA_WITH_SHA224 = 0x0A, "DSAWithSHA224", "1.1"
    DSA_WITH_SHA256 = 0x0B, "DSAWithSHA256", "1.1"
    ECDSA_WITH_SHA1 = 0x0C, "ECDSAWithSHA1", "1.1"
    ECDSA_WITH_SHA224 = 0x0D, "ECDSAWithSHA224", "1.1"
    ECDSA_WITH_SHA256 = 0x0E, "ECDSAWithSHA256", "1.1"
    ECDSA_WITH_SHA384 = 0x0F, "ECDSAWithSHA384", "1.1"
    ECDSA_WITH_SHA512 = 0x10, "ECDSAWithSHA512", "1.1"
    SHA3_256_WITH_RSA_ENCRYPTION = 0x11, "SHA3256WithRSAEncryption", "1.4"
    SHA3_384_WITH_RSA_ENCRYPTION = 0x12, "SHA3384WithRSAEncryption", "1.4"
    SHA3_512_WITH_RSA_ENCRYPTION = 0x13, "SHA3512WithRSAEncryption", "1.4"


class EncodingOption(Enumeration):
    """Source: KMIP 2.1 §11.18."""

    NO_ENCODING = 0x01, "NoEncoding", "1.1"
    TTLV_ENCODING = 0x02, "TTLVEncoding", "1.1"


class EndpointRole(Enumeration):
    """Source: KMIP 2.1 §11.19."""

    CLIENT = 0x01, "Client", "2.0"
    SERVER = 0x02, "Server", "2.0"


class FIPS186Variation(Enumeration):
    """Source: KMIP 2.1 §11.20."""

    UNSPECIFIED = 0x01, "Unspecified", "1.3"
    GPX_ORIGINAL = 0x02, "GPXOriginal", "1.3"
    GPX_CHANGE_NOTICE = 0x03, "GPXChangeNotice", "1.3"
    X_ORIGINAL = 0x04, "XOriginal", "1.3"
    X_CHANGE_NOTICE = 0x05, "XChangeNotice", "1.3"
    K_ORIGINAL = 0x06, "KOriginal", "1.3"
    K_CHANGE_NOTICE = 0x07, "KChangeNotice", "1.3"


class HashingAlgorithm(Enumeration):
    """Source: KMIP 2.1 §11.21."""

    MD2 = 0x01
    MD4 = 0x02
    MD5 = 0x03
    SHA1 = 0x04
    SHA224 = 0x05
    SHA256 = 0x06
    SHA384 = 0x07
    SHA512 = 0x08
    RIPEMD160 = 0x09
    TIGER = 0x0A, "Tiger"
    WHIRLPOOL = 0x0B, "Whirlpool"
    SHA512_224 = 0x0C, "SHA512224", "1.2"
    SHA512_256 = 0x0D, "SHA512256", "1.2"
    SHA3_224 = 0x0E, "SHA3224", "1.4"
    SHA3_256 = 0x0F, "SHA3256", "1.4"
    SHA3_384 = 0x10, "SHA3384", "1.4"
    SHA3_512 = 0x11, "SHA3512", "1.4"


class InteropFunction(Enumeration):
    """Source: KMIP 2.1 §11.22."""

    BEGIN = 0x01, "Begin", "2.0"
    END = 0x02, "End", "2.0"
    RESET = 0x03, "Reset", "2.0"


class KeyCompressionType(Enumeration):
    """Source: KMIP 2.1 §11.24."""

    EC_PUBLIC_KEY_TYPE_UNCOMPRESSED = 0x01, "ECPublicKeyTypeUncompressed"
    EC_PUBLIC_KEY_TYPE_X962_COMPRESSED_PRIME = 0x02, "ECPublicKeyTypeX962CompressedPrime"
    EC_PUBLIC_KEY_TYPE_X962_COMPRESSED_CHAR2 = 0x03, "ECPublicKeyTypeX962CompressedChar2"
    EC_PUBLIC_KEY_TYPE_X962_HYBRID = 0x04, "ECPublicKeyTypeX962Hybrid"


class KeyFormatType(Enumeration):
    """Source: KMIP 2.1 §11.25."""

    RAW = 0x01, "Raw"
    OPAQUE = 0x02, "Opaque"
    PKCS1 = 0x03
    PKCS8 = 0x04
    X509 = 0x05
    EC_PRIVATE_KEY = 0x06, "ECPrivateKey"
    TRANSPARENT_SYMMETRIC_KEY = 0x07, "TransparentSymmetricKey"
    TRANSPARENT_DSA_PRIVATE_KEY = 0x08, "TransparentDSAPrivateKey"
    TRANSPARENT_DSA_PUBLIC_KEY = 0x09, "TransparentDSAPublicKey"
    TRANSPARENT_RSA_PRIVATE_KEY = 0x0A, "TransparentRSAPrivateKey"
    TRANSPARENT_RSA_PUBLIC_KEY = 0x0B, "TransparentRSAPublicKey"
    TRANSPARENT_DH_PRIVATE_KEY = 0x0C, "TransparentDHPrivateKey"
    TRANSPARENT_DH_PUBLIC_KEY = 0x0D, "TransparentDHPublicKey"
    TRANSPARENT_ECDSA_PRIVATE_KEY = 0x0E, "TransparentECDSAPrivateKey"
    TRANSPARENT_ECDSA_PUBLIC_KEY = 0x0F, "TransparentECDSAPublicKey"
    TRANSPARENT_ECDH_PRIVATE_KEY = 0x10, "TransparentECDHPrivateKey"
    TRANSPARENT_ECDH_PUBLIC_KEY = 0x11, "TransparentECDHPublicKey"
    TRANSPARENT_ECMQV_PRIVATE_KEY = 0x12, "TransparentECMQVPrivateKey"
    TRANSPARENT_ECMQV_PUBLIC_KEY = 0x13, "TransparentECMQVPublicKey"
    TRANSPARENT_EC_PRIVATE_KEY = 0x14, "TransparentECPrivateKey", "1.3"
    TRANSPARENT_EC_PUBLIC_KEY = 0x15, "TransparentECPublicKey", "1.3"
    PKCS12 = 0x16, "PKCS12", "1.4"
    PKCS10 = 0x17, "PKCS10", "2.0"
    PKCS12_LEGACY = 0x88800001, "Pkcs12Legacy"
    PKCS7 = 0x88800002, "PKCS7"
    CONFIGURABLE_KEM_SECRET_KEY = 0x88800003, "ConfigurableKEMSecretKey"
    CONFIGURABLE_KEM_PUBLIC_KEY = 0x88800004, "ConfigurableKEMPublicKey"
    COVERCRYPT_SECRET_KEY = 0x8880000C, "CoverCryptSecretKey"
    COVERCRYPT_PUBLIC_KEY = 0x8880000D, "CoverCryptPublicKey"


class KeyRoleType(Enumeration):
    """Source: KMIP 2.1 §11.26."""

    BDK = 0x01
    CVK = 0x02
    DEK = 0x03
    MKAC = 0x04
    MKSMC = 0x05
    MKSMI = 0x06
    MKDAC = 0x07
    MKDN = 0x08
    MKCP = 0x09
    MKOTH = 0x0A
    KEK = 0x0B
    MAC16609 = 0x0C
    MAC97971 = 0x0D
    MAC97972 = 0x0E
    MAC97973 = 0x0F
    MAC97974 = 0x10
    MAC97975 = 0x11
    ZPK = 0x12
    PVKIBM = 0x13
    PVKPVV = 0x14
    PVKOTH = 0x15
    DUKPT = 0x16, "DUKPT", "1.4"
    IV = 0x17, "IV", "1.4"
    TRKBK = 0x18, "TRKBK", "1.4"


class KeyValueLocationType(Enumeration):
    """Source: KMIP 2.1 §11.27."""

    UNINTERPRETED_TEXT_STRING = 0x01, "UninterpretedTextString", "1.2"
    URI = 0x02, "URI", "1.2"


class KeyWrapType(Enumeration):
    """Source: KMIP 2.1 §11.29."""

    NOT_WRAPPED = 0x01, "NotWrapped", "1.4"
    AS_REGISTERED = 0x02, "AsRegistered", "1.4"


class LinkType(Enumeration):
    """Source: KMIP 2.1 §11.28."""

    CERTIFICATE_LINK = 0x101, "CertificateLink"
    PUBLIC_KEY_LINK = 0x102, "PublicKeyLink"
    PRIVATE_KEY_LINK = 0x103, "PrivateKeyLink"
    DERIVATION_BASE_OBJECT_LINK = 0x104, "DerivationBaseObjectLink"
    DERIVED_KEY_LINK = 0x105, "DerivedKeyLink"
    REPLACEMENT_OBJECT_LINK = 0x106, "ReplacementObjectLink"
    REPLACED_OBJECT_LINK = 0x107, "ReplacedObjectLink"
    PARENT_LINK = 0x108, "ParentLink", "1.2"
    CHILD_LINK = 0x109, "ChildLink", "1.2"
    PREVIOUS_LINK = 0x10A, "PreviousLink", "1.2"
    NEXT_LINK = 0x10B, "NextLink", "1.2"
    PKCS12_CERTIFICATE_LINK = 0x10C, "PKCS12CertificateLink", "1.4"
    PKCS12_PASSWORD_LINK = 0x10D, "PKCS12PasswordLink", "1.4"
    WRAPPING_KEY_LINK = 0x10E, "WrappingKeyLink", "2.0"


class MaskGenerator(Enumeration):
    """Source: KMIP 2.1 §11.30."""

    MGF1 = 0x01, "MGF1", "2.0"


class NISTKeyType(Enumeration):
    """Source: KMIP 2.1 §11.32."""

    PRIVATE_SIGNATURE_KEY = 0x01, "PrivateSignatureKey", "2.0"
    PUBLIC_SIGNATURE_VERIFICATION_KEY = 0x02, "PublicSignatureVerificationKey", "2.0"
    SYMMETRIC_AUTHENTICATION_KEY = 0x03, "SymmetricAuthenticationKey", "2.0"
    PRIVATE_AUTHENTICATION_KEY = 0x04, "PrivateAuthenticationKey", "2.0"
    PUBLIC_AUTHENTICATION_KEY = 0x05, "PublicAuthenticationKey", "2.0"
    SYMMETRIC_DATA_ENCRYPTION_KEY = 0x06, "SymmetricDataEncryptionKey", "2.0"
    SYMMETRIC_KEY_WRAPPING_KEY = 0x07, "SymmetricKeyWrappingKey", "2.0"
    SYMMETRIC_RANDOM_NUMBER_GENERATION_KEY = 0x08, "SymmetricRandomNumberGenerationKey", "2.0"
    SYMMETRIC_MASTER_KEY = 0x09, "SymmetricMasterKey", "2.0"
    PRIVATE_KEY_TRANSPORT_KEY = 0x0A, "PrivateKeyTransportKey", "2.0"
    PUBLIC_KEY_TRANSPORT_KEY = 0x0B, "PublicKeyTransportKey", "2.0"
    SYMMETRIC_KEY_AGREEMENT_KEY = 0x0C, "SymmetricKeyAgreementKey", "2.0"
    PRIVATE_STATIC_KEY_AGREEMENT_KEY = 0x0D, "PrivateStaticKeyAgreementKey", "2.0"
    PUBLIC_STATIC_KEY_AGREEMENT_KEY = 0x0E, "PublicStaticKeyAgreementKey", "2.0"
    PRIVATE_EPHEMERAL_KEY_AGREEMENT_KEY = 0x0F, "PrivateEphemeralKeyAgreementKey", "2.0"
    PUBLIC_EPHEMERAL_KEY_AGREEMENT_KEY = 0x10, "PublicEphemeralKeyAgreementKey", "2.0"
    SYMMETRIC_AUTHORIZATION_KEY = 0x11, "SymmetricAuthorizationKey", "2.0"
    PRIVATE_AUTHORIZATION_KEY = 0x12, "PrivateAuthorizationKey", "2.0"
    PUBLIC_AUTHORIZATION_KEY = 0x13, "PublicAuthorizationKey", "2.0"


class NameType(Enumeration):
    """Source: KMIP 2.1 §11.31."""

    UNINTERPRETED_TEXT_STRING = 0x01, "UninterpretedTextString"
    URI = 0x02


class ObjectGroupMember(Enumeration):
    """Source: KMIP 2.1 §11.33."""

    GROUP_MEMBER_FRESH = 0x01, "GroupMemberFresh", "1.1"
    GROUP_MEMBER_DEFAULT = 0x02, "GroupMemberDefault", "1.1"


class OpaqueDataType(Enumeration):
    """The kinds of opaque data; KMIP names none. Source: KMIP 2.1 §11.35."""

    UNKNOWN = 0x80000001, "Unknown"
    VENDOR = 0x80000002, "Vendor"


class ObjectType(Enumeration):
    """Source: KMIP 2.1 §11.34."""

    CERTIFICATE = 0x01, "Certificate"
    SYMMETRIC_KEY = 0x02, "SymmetricKey"
    PUBLIC_KEY = 0x03, "PublicKey"
    PRIVATE_KEY = 0x04, "PrivateKey"
    SPLIT_KEY = 0x05, "SplitKey"
    TEMPLATE = 0x06, "Template"
    SECRET_DATA = 0x07, "SecretData"
    OPAQUE_OBJECT = 0x08, "OpaqueObject"
    PGP_KEY = 0x09, "PGPKey", "1.2"
    CERTIFICATE_REQUEST = 0x0A, "CertificateRequest", "2.0"


class Operation(Enumeration):
    """Source: KMIP 2.1 §11.36."""

    CREATE = 0x01, "Create"
    CREATE_KEY_PAIR = 0x02, "CreateKeyPair"
    REGISTER = 0x03, "Register"
    REKEY = 0x04, "ReKey"
    DERIVE_KEY = 0x05, "DeriveKey"
    CERTIFY = 0x06, "Certify"
    RECERTIFY = 0x07, "ReCertify"
    LOCATE = 0x08, "Locate"
    CHECK = 0x09, "Check"
    GET = 0x0A, "Get"
    GET_ATTRIBUTES = 0x0B, "GetAttributes"
    GET_ATTRIBUTE_LIST = 0x0C, "GetAttributeList"
    ADD_ATTRIBUTE = 0x0D, "AddAttribute"
    MODIFY_ATTRIBUTE = 0x0E, "ModifyAttribute"
    DELETE_ATTRIBUTE = 0x0F, "DeleteAttribute"
    OBTAIN_LEASE = 0x10, "ObtainLease"
    GET_USAGE_ALLOCATION = 0x11, "GetUsageAllocation"
    ACTIVATE = 0x12, "Activate"
    REVOKE = 0x13, "Revoke"
    DESTROY = 0x14, "Destroy"
    ARCHIVE = 0x15, "Archive"
    RECOVER = 0x16, "Recover"
    VALIDATE = 0x17, "Validate"
    QUERY = 0x18, "Query"
    CANCEL = 0x19, "Cancel"
    POLL = 0x1A, "Poll"
    NOTIFY = 0x1B, "Notify"
    PUT = 0x1C, "Put"
    REKEY_KEY_PAIR = 0x1D, "ReKeyKeyPair", "1.1"
    DISCOVER_VERSIONS = 0x1E, "DiscoverVersions", "1.1"
    ENCRYPT = 0x1F, "Encrypt", "1.2"
    DECRYPT = 0x20, "Decrypt", "1.2"
    SIGN = 0x21, "Sign", "1.2"
    SIGNATURE_VERIFY = 0x22, "SignatureVerify", "1.2"
    MAC = 0x23, "MAC", "1.2"
    MAC_VERIFY = 0x24, "MACVerify", "1.2"
    RNG_RETRIEVE = 0x25, "RNGRetrieve", "1.2"
    RNG_SEED = 0x26, "RNGSeed", "1.2"
    HASH = 0x27, "Hash", "1.2"
    CREATE_SPLIT_KEY = 0x28, "CreateSplitKey", "1.2"
    JOIN_SPLIT_KEY = 0x29, "JoinSplitKey", "1.2"
    IMPORT = 0x2A, "Import", "1.4"
    EXPORT = 0x2B, "Export", "1.4"
    LOG = 0x2C, "Log", "2.0"
    LOGIN = 0x2D, "Login", "2.0"
    LOGOUT = 0x2E, "Logout", "2.0"
    DELEGATED_LOGIN = 0x2F, "DelegatedLogin", "2.0"
    ADJUST_ATTRIBUTE = 0x30, "AdjustAttribute", "2.0"
    SET_ATTRIBUTE = 0x31, "SetAttribute", "2.0"
    SET_ENDPOINT_ROLE = 0x32, "SetEndpointRole", "2.0"
    PKCS11 = 0x33, "PKCS11", "2.0"
    INTEROP = 0x34, "Interop", "2.0"
    REPROVISION = 0x35, "ReProvision", "2.0"
    SET_DEFAULTS = 0x36, "SetDefaults", "2.1"
    SET_CONSTRAINTS = 0x37, "SetConstraints", "2.1"
    GET_CONSTRAINTS = 0x38, "GetConstraints", "2.1"
    QUERY_ASYNCHRONOUS_REQUESTS = 0x39, "QueryAsynchronousRequests", "2.1"
    PROCESS = 0x3A, "Process", "2.1"
    PING = 0x3B, "Ping", "2.1"


class PaddingMethod(Enumeration):
    """Source: KMIP 2.1 §11.37."""

    NONE = 0x01, "None"
    OAEP = 0x02
    PKCS5 = 0x03
    SSL3 = 0x04
    ZEROS = 0x05, "Zeros"
    ANSI_X923 = 0x06
    ISO10126 = 0x07
    PKCS1V15 = 0x08, "PKCS1v15"
    X931 = 0x09
    PSS = 0x0A


class ProcessingStage(Enumeration):
    """Source: KMIP 2.1 §11.40."""

    SUBMITTED = 0x01, "Submitted", "2.1"
    IN_PROCESS = 0x02, "InProcess", "2.1"
    COMPLETED = 0x03, "Completed", "2.1"


class ProfileName(Enumeration):
    """What a server may say it conforms to: servers' profiles alone. Source: KMIP 2.1 §11.41."""

    BASELINE_SERVER_BASIC_KMIP_V1_3 = 0x55, "BaselineServerBasicKMIPV13", "1.3"
    TAPE_LIBRARY_SERVER_KMIP_V1_3 = 0x5C, "TapeLibraryServerKMIPV13", "1.3"
    SYMMETRIC_KEY_LIFECYCLE_SERVER_KMIP_V1_3 = 0x5E, "SymmetricKeyLifecycleServerKMIPV13", "1.3"
    ASYMMETRIC_KEY_LIFECYCLE_SERVER_KMIP_V1_3 = 0x60, "AsymmetricKeyLifecycleServerKMIPV13", "1.3"
    BASIC_CRYPTOGRAPHIC_SERVER_KMIP_V1_3 = 0x62, "BasicCryptographicServerKMIPV13", "1.3"
    ADVANCED_CRYPTOGRAPHIC_SERVER_KMIP_V1_3 = 0x64, "AdvancedCryptographicServerKMIPV13", "1.3"
    RNG_CRYPTOGRAPHIC_SERVER_KMIP_V1_3 = 0x66, "RNGCryptographicServerKMIPV13", "1.3"
    SYMMETRIC_KEY_FOUNDRY_SERVER_KMIP_V1_3 = 0x6A, "SymmetricKeyFoundryServerKMIPV13", "1.3"
    OPAQUE_MANAGED_OBJECT_STORE_SERVER_KMIP_V1_3 = (
        0x6C,
        "OpaqueManagedObjectStoreServerKMIPV13",
        "1.3",
    )
    STORAGE_ARRAY_WITH_SELF_ENCRYPTING_DRIVE_SERVER_KMIP_V1_3 = (
        0x72,
        "StorageArrayWithSelfEncryptingDriveServerKMIPV13",
        "1.3",
    )
    HTTPS_SERVER_KMIP_V1_3 = 0x74, "HTTPSServerKMIPV13", "1.3"
    JSON_SERVER_KMIP_V1_3 = 0x76, "JSONServerKMIPV13", "1.3"
    XML_SERVER_KMIP_V1_3 = 0x78, "XMLServerKMIPV13", "1.3"
    BASELINE_SERVER_BASIC_KMIP_V1_4 = 0x79, "BaselineServerBasicKMIPV14", "1.4"
    TAPE_LIBRARY_SERVER_KMIP_V1_4 = 0x80, "TapeLibraryServerKMIPV14", "1.4"
    SYMMETRIC_KEY_LIFECYCLE_SERVER_KMIP_V1_4 = 0x82, "SymmetricKeyLifecycleServerKMIPV14", "1.4"
    ASYMMETRIC_KEY_LIFECYCLE_SERVER_KMIP_V1_4 = 0x84, "AsymmetricKeyLifecycleServerKMIPV14", "1.4"
    BASIC_CRYPTOGRAPHIC_SERVER_KMIP_V1_4 = 0x86, "BasicCryptographicServerKMIPV14", "1.4"
    ADVANCED_CRYPTOGRAPHIC_SERVER_KMIP_V1_4 = 0x88, "AdvancedCryptographicServerKMIPV14", "1.4"
    RNG_CRYPTOGRAPHIC_SERVER_KMIP_V1_4 = 0x8A, "RNGCryptographicServerKMIPV14", "1.4"
    SYMMETRIC_KEY_FOUNDRY_SERVER_KMIP_V1_4 = 0x8E, "SymmetricKeyFoundryServerKMIPV14", "1.4"
    OPAQUE_MANAGED_OBJECT_STORE_SERVER_KMIP_V1_4 = (
        0x90,
        "OpaqueManagedObjectStoreServerKMIPV14",
        "1.4",
    )
    STORAGE_ARRAY_WITH_SELF_ENCRYPTING_DRIVE_SERVER_KMIP_V1_4 = (
        0x96,
        "StorageArrayWithSelfEncryptingDriveServerKMIPV14",
        "1.4",
    )
    HTTPS_SERVER_KMIP_V1_4 = 0x98, "HTTPSServerKMIPV14", "1.4"
    JSON_SERVER_KMIP_V1_4 = 0x9A, "JSONServerKMIPV14", "1.4"
    XML_SERVER_KMIP_V1_4 = 0x9C, "XMLServerKMIPV14", "1.4"
    TAPE_LIBRARY_SERVER = 0x107, "TapeLibraryServer", "2.0"
    SYMMETRIC_KEY_LIFECYCLE_SERVER = 0x109, "SymmetricKeyLifecycleServer", "2.0"
    ASYMMETRIC_KEY_LIFECYCLE_SERVER = 0x10B, "AsymmetricKeyLifecycleServer", "2.0"
    BASIC_CRYPTOGRAPHIC_SERVER = 0x10D, "BasicCryptographicServer", "2.0"
    ADVANCED_CRYPTOGRAPHIC_SERVER = 0x10F, "AdvancedCryptographicServer", "2.0"
    RNG_CRYPTOGRAPHIC_SERVER = 0x111, "RNGCryptographicServer", "2.0"
    SYMMETRIC_KEY_FOUNDRY_SERVER = 0x115, "SymmetricKeyFoundryServer", "2.0"
    OPAQUE_MANAGED_OBJECT_STORE_SERVER = 0x117, "OpaqueManagedObjectStoreServer", "2.0"
    STORAGE_ARRAY_WITH_SELF_ENCRYPTING_DRIVE_SERVER = (
        0x11D,
        "StorageArrayWithSelfEncryptingDriveServer",
        "2.0",
    )
    HTTPS_SERVER = 0x11F, "HTTPSServer", "2.0"
    JSON_SERVER = 0x121, "JSONServer", "2.0"
    XML_SERVER = 0x123, "XMLServer", "2.0"
    AES_XTS_SERVER = 0x125, "AESXTSServer", "2.0"
    QUANTUM_SAFE_SERVER = 0x127, "QuantumSafeServer", "2.0"
    BASELINE_SERVER = 0x12B, "BaselineServer", "2.0"


class ProtectionLevel(Enumeration):
    """Source: KMIP 2.1 §11.42."""

    HIGH = 0x01, "High", "2.0"
    LOW = 0x02, "Low", "2.0"


class PutFunction(Enumeration):
    """Source: KMIP 2.1 §11.43."""

    NEW = 0x01, "New"
    REPLACE = 0x02, "Replace"


class QueryFunction(Enumeration):
    """Source: KMIP 2.1 §11.44."""

    QUERY_OPERATIONS = 0x01, "QueryOperations"
    QUERY_OBJECTS = 0x02, "QueryObjects"
    QUERY_SERVER_INFORMATION = 0x03, "QueryServerInformation"
    QUERY_APPLICATION_NAMESPACES = 0x04, "QueryApplicationNamespaces"
    QUERY_EXTENSION_LIST = 0x05, "QueryExtensionList", "1.1"
    QUERY_EXTENSION_MAP = 0x06, "QueryExtensionMap", "1.1"
    QUERY_ATTESTATION_TYPES = 0x07, "QueryAttestationTypes", "1.2"
    QUERY_RNGS = 0x08, "QueryRNGs", "1.3"
    QUERY_VALIDATIONS = 0x09, "QueryValidations", "1.3"
    QUERY_PROFILES = 0x0A, "QueryProfiles", "1.3"
    QUERY_CAPABILITIES = 0x0B, "QueryCapabilities", "1.3"
    QUERY_CLIENT_REGISTRATION_METHODS = 0x0C, "QueryClientRegistrationMethods", "1.3"
    QUERY_DEFAULTS_INFORMATION = 0x0D, "QueryDefaultsInformation", "2.0"
    QUERY_STORAGE_PROTECTION_MASKS = 0x0E, "QueryStorageProtectionMasks", "2.0"


class RNGAlgorithm(Enumeration):
    """Source: KMIP 2.1 §11.49."""

    UNSPECIFIED = 0x01, "Unspecified", "1.3"
    FIPS186_2 = 0x02, "FIPS1862", "1.3"
    DRBG = 0x03, "DRBG", "1.3"
    NRBG = 0x04, "NRBG", "1.3"
    ANSI_X9_31 = 0x05, "ANSIX931", "1.3"
    ANSI_X9_62 = 0x06, "ANSIX962", "1.3"


class RNGMode(Enumeration):
    """Source: KMIP 2.1 §11.50."""

    UNSPECIFIED = 0x01, "Unspecified", "1.3"
    SHARED_INSTANTIATION = 0x02, "SharedInstantiation", "1.3"
    NON_SHARED_INSTANTIATION = 0x03, "NonSharedInstantiation", "1.3"


class RecommendedCurve(Enumeration):
    """Source: KMIP 2.1 §11.45."""

    P192 = 0x01, "P192", "1.2"
    K163 = 0x02, "K163", "1.2"
    B163 = 0x03, "B163", "1.2"
    P224 = 0x04, "P224", "1.2"
    K233 = 0x05, "K233", "1.2"
    B233 = 0x06, "B233", "1.2"
    P256 = 0x07, "P256", "1.2"
    K283 = 0x08, "K283", "1.2"
    B283 = 0x09, "B283", "1.2"
    P384 = 0x0A, "P384", "1.2"
    K409 = 0x0B, "K409", "1.2"
    B409 = 0x0C, "B409", "1.2"
    P521 = 0x0D, "P521", "1.2"
    K571 = 0x0E, "K571", "1.2"
    B571 = 0x0F, "B571", "1.2"
    SECP112R1 = 0x10, "SECP112R1", "1.2"
    SECP112R2 = 0x11, "SECP112R2", "1.2"
    SECP128R1 = 0x12, "SECP128R1", "1.2"
    SECP128R2 = 0x13, "SECP128R2", "1.2"
    SECP160K1 = 0x14, "SECP160K1", "1.2"
    SECP160R1 = 0x15, "SECP160R1", "1.2"
    SECP160R2 = 0x16, "SECP160R2", "1.2"
    SECP192K1 = 0x17, "SECP192K1", "1.2"
    SECP224K1 = 0x18, "SECP224K1", "1.2"
    SECP256K1 = 0x19, "SECP256K1", "1.2"
    SECT113R1 = 0x1A, "SECT113R1", "1.2"
    SECT113R2 = 0x1B, "SECT113R2", "1.2"
    SECT131R1 = 0x1C, "SECT131R1", "1.2"
    SECT131R2 = 0x1D, "SECT131R2", "1.2"
    SECT163R1 = 0x1E, "SECT163R1", "1.2"
    SECT193R1 = 0x1F, "SECT193R1", "1.2"
    SECT193R2 = 0x20, "SECT193R2", "1.2"
    SECT239K1 = 0x21, "SECT239K1", "1.2"
    ANSIX9P192V2 = 0x22, "ANSIX9P192V2", "1.2"
    ANSIX9P192V3 = 0x23, "ANSIX9P192V3", "1.2"
    ANSIX9P239V1 = 0x24, "ANSIX9P239V1", "1.2"
    ANSIX9P239V2 = 0x25, "ANSIX9P239V2", "1.2"
    ANSIX9P239V3 = 0x26, "ANSIX9P239V3", "1.2"
    ANSIX9C2PNB163V1 = 0x27, "ANSIX9C2PNB163V1", "1.2"
    ANSIX9C2PNB163V2 = 0x28, "ANSIX9C2PNB163V2", "1.2"
    ANSIX9C2PNB163V3 = 0x29, "ANSIX9C2PNB163V3", "1.2"
    ANSIX9C2PNB176V1 = 0x2A, "ANSIX9C2PNB176V1", "1.2"
    ANSIX9C2TNB191V1 = 0x2B, "ANSIX9C2TNB191V1", "1.2"
    ANSIX9C2TNB191V2 = 0x2C, "ANSIX9C2TNB191V2", "1.2"
    ANSIX9C2TNB191V3 = 0x2D, "ANSIX9C2TNB191V3", "1.2"
    ANSIX9C2PNB208W1 = 0x2E, "ANSIX9C2PNB208W1", "1.2"
    ANSIX9C2TNB239V1 = 0x2F, "ANSIX9C2TNB239V1", "1.2"
    ANSIX9C2TNB239V2 = 0x30, "ANSIX9C2TNB239V2", "1.2"
    ANSIX9C2TNB239V3 = 0x31, "ANSIX9C2TNB239V3", "1.2"
    ANSIX9C2PNB272W1 = 0x32, "ANSIX9C2PNB272W1", "1.2"
    ANSIX9C2PNB304W1 = 0x33, "ANSIX9C2PNB304W1", "1.2"
    ANSIX9C2TNB359V1 = 0x34, "ANSIX9C2TNB359V1", "1.2"
    ANSIX9C2PNB368W1 = 0x35, "ANSIX9C2PNB368W1", "1.2"
    ANSIX9C2TNB431R1 = 0x36, "ANSIX9C2TNB431R1", "1.2"
    BRAINPOOLP160R1 = 0x37, "BRAINPOOLP160R1", "1.2"
    BRAINPOOLP160T1 = 0x38, "BRAINPOOLP160T1", "1.2"
    BRAINPOOLP192R1 = 0x39, "BRAINPOOLP192R1", "1.2"
    BRAINPOOLP192T1 = 0x3A, "BRAINPOOLP192T1", "1.2"
    BRAINPOOLP224R1 = 0x3B, "BRAINPOOLP224R1", "1.2"
    BRAINPOOLP224T1 = 0x3C, "BRAINPOOLP224T1", "1.2"
    BRAINPOOLP256R1 = 0x3D, "BRAINPOOLP256R1", "1.2"
    BRAINPOOLP256T1 = 0x3E, "BRAINPOOLP256T1", "1.2"
    BRAINPOOLP320R1 = 0x3F, "BRAINPOOLP320R1", "1.2"
    BRAINPOOLP320T1 = 0x40, "BRAINPOOLP320T1", "1.2"
    BRAINPOOLP384R1 = 0x41, "BRAINPOOLP384R1", "1.2"
    BRAINPOOLP384T1 = 0x42, "BRAINPOOLP384T1", "1.2"
    BRAINPOOLP512R1 = 0x43, "BRAINPOOLP512R1", "1.2"
    BRAINPOOLP512T1 = 0x44, "BRAINPOOLP512T1", "1.2"
    CURVE25519 = 0x45, "CURVE25519", "2.0"
    CURVE448 = 0x46, "CURVE448", "2.0"
    CURVE_ED25519 = 0x80000001, "CURVEED25519"
    CURVE_ED448 = 0x80000002, "CURVEED448"


class ResultReason(Enumeration):
    """Source: KMIP 2.1 §11.46."""

    ITEM_NOT_FOUND = 0x01, "Item_Not_Found"
    RESPONSE_TOO_LARGE = 0x02, "Response_Too_Large"
    AUTHENTICATION_NOT_SUCCESSFUL = 0x03, "Authentication_Not_Successful"
    INVALID_MESSAGE = 0x04, "Invalid_Message"
    OPERATION_NOT_SUPPORTED = 0x05, "Operation_Not_Supported"
    MISSING_DATA = 0x06, "Missing_Data"
    INVALID_FIELD = 0x07, "Invalid_Field"
    FEATURE_NOT_SUPPORTED = 0x08, "Feature_Not_Supported"
    OPERATION_CANCELED_BY_REQUESTER = 0x09, "Operation_Canceled_By_Requester"
    CRYPTOGRAPHIC_FAILURE = 0x0A, "Cryptographic_Failure"
    ILLEGAL_OPERATION = 0x0B, "Illegal_Operation"
    PERMISSION_DENIED = 0x0C, "Permission_Denied"
    OBJECT_ARCHIVED = 0x0D, "Object_Archived"
    INDEX_OUT_OF_BOUNDS = 0x0E, "Index_Out_Of_Bounds"
    APPLICATION_NAMESPACE_NOT_SUPPORTED = 0x0F, "Application_Namespace_Not_Supported"
    KEY_FORMAT_TYPE_NOT_SUPPORTED = 0x10, "Key_Format_Type_Not_Supported"
    KEY_COMPRESSION_TYPE_NOT_SUPPORTED = 0x11, "Key_Compression_Type_Not_Supported"
    ENCODING_OPTION_ERROR = 0x12, "Encoding_Option_Error", "1.1"
    KEY_VALUE_NOT_PRESENT = 0x13, "Key_Value_Not_Present", "1.2"
    ATTESTATION_REQUIRED = 0x14, "Attestation_Required", "1.2"
    ATTESTATION_FAILED = 0x15, "Attestation_Failed", "1.2"
    SENSITIVE = 0x16, "Sensitive", "1.4"
    NOT_EXTRACTABLE = 0x17, "Not_Extractable", "1.4"
    OBJECT_ALREADY_EXISTS = 0x18, "Object_Already_Exists", "1.4"
    INVALID_TICKET = 0x19, "Invalid_Ticket", "2.0"
    USAGE_LIMIT_EXCEEDED = 0x1A, "Usage_Limit_Exceeded", "2.0"
    NUMERIC_RANGE = 0x1B, "Numeric_Range", "2.0"
    INVALID_DATA_TYPE = 0x1C, "Invalid_Data_Type", "2.0"
    READ_ONLY_ATTRIBUTE = 0x1D, "Read_Only_Attribute", "2.0"
    MULTI_VALUED_ATTRIBUTE = 0x1E, "Multi_Valued_Attribute", "2.0"
    UNSUPPORTED_ATTRIBUTE = 0x1F, "Unsupported_Attribute", "2.0"
    ATTRIBUTE_INSTANCE_NOT_FOUND = 0x20, "Attribute_Instance_Not_Found", "2.0"
    ATTRIBUTE_NOT_FOUND = 0x21, "Attribute_Not_Found", "2.0"
    ATTRIBUTE_READ_ONLY = 0x22, "Attribute_Read_Only", "2.0"
    ATTRIBUTE_SINGLE_VALUED = 0x23, "Attribute_Single_Valued", "2.0"
    BAD_CRYPTOGRAPHIC_PARAMETERS = 0x24, "Bad_Cryptographic_Parameters", "2.0"
    BAD_PASSWORD = 0x25, "Bad_Password", "2.0"
    CODEC_ERROR = 0x26, "Codec_Error", "2.0"
    ILLEGAL_OBJECT_TYPE = 0x28, "Illegal_Object_Type", "2.0"
    INCOMPATIBLE_CRYPTOGRAPHIC_USAGE_MASK = 0x29, "Incompatible_Cryptographic_Usage_Mask", "2.0"
    INTERNAL_SERVER_ERROR = 0x2A, "Internal_Server_Error", "2.0"
    INVALID_ASYNCHRONOUS_CORRELATION_VALUE = 0x2B, "Invalid_Asynchronous_Correlation_Value", "2.0"
    INVALID_ATTRIBUTE = 0x2C, "Invalid_Attribute", "2.0"
    INVALID_ATTRIBUTE_VALUE = 0x2D, "Invalid_Attribute_Value", "2.0"
    INVALID_CORRELATION_VALUE = 0x2E, "Invalid_Correlation_Value", "2.0"
    INVALID_CSR = 0x2F, "Invalid_CSR", "2.0"
    INVALID_OBJECT_TYPE = 0x30, "Invalid_Object_Type", "2.0"
    KEY_WRAP_TYPE_NOT_SUPPORTED = 0x32, "Key_Wrap_Type_Not_Supported", "2.0"
    MISSING_INITIALIZATION_VECTOR = 0x34, "Missing_Initialization_Vector", "2.0"
    NON_UNIQUE_NAME_ATTRIBUTE = 0x35, "Non_Unique_Name_Attribute", "2.0"
    OBJECT_DESTROYED = 0x36, "Object_Destroyed", "2.0"
    OBJECT_NOT_FOUND = 0x37, "Object_Not_Found", "2.0"
    NOT_AUTHORISED = 0x39, "Not_Authorised", "2.0"
    SERVER_LIMIT_EXCEEDED = 0x3A, "Server_Limit_Exceeded", "2.0"
    UNKNOWN_ENUMERATION = 0x3B, "Unknown_Enumeration", "2.0"
    UNKNOWN_MESSAGE_EXTENSION = 0x3C, "Unknown_Message_Extension", "2.0"
    UNKNOWN_TAG = 0x3D, "Unknown_Tag", "2.0"
    UNSUPPORTED_CRYPTOGRAPHIC_PARAMETERS = 0x3E, "Unsupported_Cryptographic_Parameters", "2.0"
    UNSUPPORTED_PROTOCOL_VERSION = 0x3F, "Unsupported_Protocol_Version", "2.0"
    WRAPPING_OBJECT_ARCHIVED = 0x40, "Wrapping_Object_Archived", "2.0"
    WRAPPING_OBJECT_DESTROYED = 0x41, "Wrapping_Object_Destroyed", "2.0"
    WRAPPING_OBJECT_NOT_FOUND = 0x42, "Wrapping_Object_Not_Found", "2.0"
    WRONG_KEY_LIFECYCLE_STATE = 0x43, "Wrong_Key_Lifecycle_State", "2.0"
    PROTECTION_STORAGE_UNAVAILABLE = 0x44, "Protection_Storage_Unavailable", "2.0"
    PKCS11_CODEC_ERROR = 0x45, "PKCS11CodecError", "2.0"
    PKCS11_INVALID_FUNCTION = 0x46, "PKCS11InvalidFunction", "2.0"
    PKCS11_INVALID_INTERFACE = 0x47, "PKCS11InvalidInterface", "2.0"
    PRIVATE_PROTECTION_STORAGE_UNAVAILABLE = 0x48, "PrivateProtectionStorageUnavailable", "2.0"
    PUBLIC_PROTECTION_STORAGE_UNAVAILABLE = 0x49, "PublicProtectionStorageUnavailable", "2.0"
    UNKNOWN_OBJECT_GROUP = 0x4A, "UnknownObjectGroup", "2.1"
    CONSTRAINT_VIOLATION = 0x4B, "Constraint_Violation", "2.1"
    DUPLICATE_PROCESS_REQUEST = 0x4C, "DuplicateProcessRequest", "2.1"
    GENERAL_FAILURE = 0x100, "General_Failure"


class ResultStatus(Enumeration):
    """Source: KMIP 2.1 §11.47."""

    SUCCESS = 0x00, "Success"
    OPERATION_FAILED = 0x01, "OperationFailed"
    OPERATION_PENDING = 0x02, "OperationPending"
    OPERATION_UNDONE = 0x03, "OperationUndone"


class RevocationReasonCode(Enumeration):
    """Source: KMIP 2.1 §11.48."""

    UNSPECIFIED = 0x01, "Unspecified"
    KEY_COMPROMISE = 0x02, "KeyCompromise"
    CA_COMPROMISE = 0x03, "CACompromise"
    AFFILIATION_CHANGED = 0x04, "AffiliationChanged"
    SUPERSEDED = 0x05, "Superseded"
    CESSATION_OF_OPERATION = 0x06, "CessationOfOperation"
    PRIVILEGE_WITHDRAWN = 0x07, "PrivilegeWithdrawn"


class RotateNameType(Enumeration):
    """Source: KMIP 2.1 §11.51."""

    UNINTERPRETED_TEXT_STRING = 0x01, "UninterpretedTextString", "2.1"
    URI = 0x02, "URI", "2.1"


class SecretDataType(Enumeration):
    """Source: KMIP 2.1 §11.52."""

    PASSWORD = 0x01, "Password"
    SEED = 0x02, "Seed"


class ShreddingAlgorithm(Enumeration):
    """Source: KMIP 2.1 §11.53."""

    UNSPECIFIED = 0x01, "Unspecified", "1.3"
    CRYPTOGRAPHIC = 0x02, "Cryptographic", "1.3"
    UNSUPPORTED = 0x03, "Unsupported", "1.3"


class SplitKeyMethod(Enumeration):
    """Source: KMIP 2.1 §11.54."""

    XOR = 0x01
    POLYNOMIAL_SHARING_GF_2_16 = 0x02, "PolynomialSharingGF216"
    POLYNOMIAL_SHARING_PRIME_FIELD = 0x03, "PolynomialSharingPrimeField"
    POLYNOMIAL_SHARING_GF_2_8 = 0x04, "PolynomialSharingGF28", "1.2"


class State(Enumeration):
    """Source: KMIP 2.1 §11.55."""

    PRE_ACTIVE = 0x01, "PreActive"
    ACTIVE = 0x02, "Active"
    DEACTIVATED = 0x03, "Deactivated"
    COMPROMISED = 0x04, "Compromised"
    DESTROYED = 0x05, "Destroyed"
    DESTROYED_COMPROMISED = 0x06, "Destroyed_Compromised"


class TicketType(Enumeration):
    """Source: KMIP 2.1 §11.57."""

    LOGIN = 0x01, "Login", "2.0"


class UnwrapMode(Enumeration):
    """Source: KMIP 2.1 §11.59."""

    UNSPECIFIED = 0x01, "Unspecified", "1.3"
    PROCESSED = 0x02, "Processed", "1.3"
    NOT_PROCESSED = 0x03, "NotProcessed", "1.3"


class UsageLimitsUnit(Enumeration):
    """Source: KMIP 2.1 §11.60."""

    BYTE = 0x01, "Byte"
    OBJECT = 0x02, "Object"


class ValidationAuthorityType(Enumeration):
    """Source: KMIP 2.1 §11.63."""

    UNSPECIFIED = 0x01, "Unspecified", "1.3"
    NIST_CMVP = 0x02, "NISTCMVP", "1.3"
    COMMON_CRITERIA = 0x03, "CommonCriteria", "1.3"


class ValidationType(Enumeration):
    """Source: KMIP 2.1 §11.64."""

    UNSPECIFIED = 0x01, "Unspecified", "1.3"
    HARDWARE = 0x02, "Hardware", "1.3"
    SOFTWARE = 0x03, "Software", "1.3"
    FIRMWARE = 0x04, "Firmware", "1.3"
    HYBRID = 0x05, "Hybrid", "1.3"


class ValidityIndicator(Enumeration):
    """Source: KMIP 2.1 §11.61."""

    VALID = 0x01, "Valid"
    INVALID = 0x02, "Invalid"
    UNKNOWN = 0x03, "Unknown"


class WrappingMethod(Enumeration):
    """Source: KMIP 2.1 §11.62."""

    ENCRYPT = 0x01, "Encrypt"
    MAC_SIGN = 0x02, "MACSign"
    ENCRYPT_THEN_MAC_SIGN = 0x03, "EncryptThenMACSign"
    MAC_SIGN_THEN_ENCRYPT = 0x04, "MACSignThenEncrypt"
    TR31 = 0x05


class CryptographicUsageMask(enum.IntFlag, boundary=enum.KEEP):
    """What a key may be used for; unknown bits are kept. Source: KMIP 2.1 §12.1."""

    SIGN = 0x00000001
    VERIFY = 0x00000002
    ENCRYPT = 0x00000004
    DECRYPT = 0x00000008
    WRAP_KEY = 0x00000010
    UNWRAP_KEY = 0x00000020
    EXPORT = 0x00000040
    MAC_GENERATE = 0x00000080
    MAC_VERIFY = 0x00000100
    DERIVE_KEY = 0x00000200
    CONTENT_COMMITMENT = 0x00000400
    KEY_AGREEMENT = 0x00000800
    CERTIFICATE_SIGN = 0x00001000
    CRL_SIGN = 0x00002000
    GENERATE_CRYPTOGRAM = 0x00004000
    VALIDATE_CRYPTOGRAM = 0x00008000
    TRANSLATE_ENCRYPT = 0x00010000
    TRANSLATE_DECRYPT = 0x00020000
    TRANSLATE_WRAP = 0x00040000
    TRANSLATE_UNWRAP = 0x00080000
    AUTHENTICATE = 0x00100000
    UNRESTRICTED = 0x00200000
    FPE_ENCRYPT = 0x00400000
    FPE_DECRYPT = 0x00800000


class StorageStatusMask(enum.IntFlag, boundary=enum.KEEP):
    """Where Locate looks. Source: KMIP 2.1 §12.3."""

    ON_LINE_STORAGE = 0x01
    ARCHIVAL_STORAGE = 0x02
    DESTROYED_STORAGE = 0x04


class ProtectionStorageMask(enum.IntFlag, boundary=enum.KEEP):
    """Where an object is to be kept. Source: KMIP 2.1 §12.2."""

    SOFTWARE = 0x0001
    HARDWARE = 0x0002
    ON_PROCESSOR = 0x0004
    ON_SYSTEM = 0x0008
    OFF_SYSTEM = 0x0010
    HYPERVISOR = 0x0020
    OPERATING_SYSTEM = 0x0040
    CONTAINER = 0x0080
    ON_PREMISES = 0x0100
    OFF_PREMISES = 0x0200
    SELF_MANAGED = 0x0400
    OUTSOURCED = 0x0800
    VALIDATED = 0x1000
    SAME_JURISDICTION = 0x2000
