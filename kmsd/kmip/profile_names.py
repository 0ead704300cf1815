"""How the XML and JSON profiles spell tags and enumerations: by a rule on KMIP's names.

Blanks and most signs go (`Item Not Found` is `ItemNotFound`), a sign before a digit becomes an
underscore (`SHA-256` is `SHA_256`), digits in front move back (`3DES` is `DES3`). The product's
clients spell some otherwise, and theirs are the `wire_name`s; this is for messages by the book.
Source: KMIP Profiles 2.1 §5.4.1.1.
"""

from kmsd.kmip import enums
from kmsd.kmip.enums import Enumeration
from kmsd.ttlv import Item, ItemType

# What is not the wire name without its underscores: the enumeration, then number by number.
_SPELLED: dict[type[Enumeration], dict[int, str]] = {
    enums.AlternativeNameType: {
        enums.AlternativeNameType.X500_DISTINGUISHED_NAME: "X_500DistinguishedName",
    },
    enums.BlockCipherMode: {
        enums.BlockCipherMode.X9_102_AESKW: "X9_102AESKW",
        enums.BlockCipherMode.X9_102_TDKW: "X9_102TDKW",
        enums.BlockCipherMode.X9_102_AKW1: "X9_102AKW1",
        enums.BlockCipherMode.X9_102_AKW2: "X9_102AKW2",
    },
    enums.CertificateRequestType: {
        enums.CertificateRequestType.PKCS10: "PKCS_10",
    },
    enums.CertificateType: {
        enums.CertificateType.X509: "X_509",
    },
    enums.CryptographicAlgorithm: {
        enums.CryptographicAlgorithm.THREE_DES: "DES3",
        enums.CryptographicAlgorithm.SHA3_224: "SHA3_224",
        enums.CryptographicAlgorithm.SHA3_256: "SHA3_256",
        enums.CryptographicAlgorithm.SHA3_384: "SHA3_384",
        enums.CryptographicAlgorithm.SHA3_512: "SHA3_512",
        enums.CryptographicAlgorithm.HMAC_SHA3_224: "HMACSHA3_224",
        enums.CryptographicAlgorithm.HMAC_SHA3_256: "HMACSHA3_256",
        enums.CryptographicAlgorithm.HMAC_SHA3_384: "HMACSHA3_384",
        enums.CryptographicAlgorithm.HMAC_SHA3_512: "HMACSHA3_512",
        enums.CryptographicAlgorithm.SHAKE128: "SHAKE_128",
        enums.CryptographicAlgorithm.SHAKE256: "SHAKE_256",
        enums.CryptographicAlgorithm.GOSTR34102012: "GOSTR34_10_2012",
        enums.CryptographicAlgorithm.GOSTR34112012: "GOSTR34_11_2012",
        enums.CryptographicAlgorithm.GOSTR34132015: "GOSTR34_13_2015",
        enums.CryptographicAlgorithm.GOST2814789: "GOST28147_89",
        enums.CryptographicAlgorithm.MCELIECE: "McEliece",
        enums.CryptographicAlgorithm.MCELIECE_6960119: "McEliece_6960119",
        enums.CryptographicAlgorithm.MCELIECE_8192128: "McEliece_8192128",
    },
    enums.DigitalSignatureAlgorithm: {
        enums.DigitalSignatureAlgorithm.SHA1_WITH_RSA_ENCRYPTION: "SHA_1WithRSAEncryption",
        enums.DigitalSignatureAlgorithm.SHA224_WITH_RSA_ENCRYPTION: "SHA_224WithRSAEncryption",
        enums.DigitalSignatureAlgorithm.SHA256_WITH_RSA_ENCRYPTION: "SHA_256WithRSAEncryption",
        enums.DigitalSignatureAlgorithm.SHA384_WITH_RSA_ENCRYPTION: "SHA_384WithRSAEncryption",
        enums.DigitalSignatureAlgorithm.SHA512_WITH_RSA_ENCRYPTION: "SHA_512WithRSAEncryption",
        enums.DigitalSignatureAlgorithm.DSA_WITH_SHA1: "DSAWithSHA_1",
        enums.DigitalSignatureAlgorithm.ECDSA_WITH_SHA1: "ECDSAWithSHA_1",
        enums.DigitalSignatureAlgorithm.SHA3_256_WITH_RSA_ENCRYPTION: "SHA3_256WithRSAEncryption",
        enums.DigitalSignatureAlgorithm.SHA3_384_WITH_RSA_ENCRYPTION: "SHA3_384WithRSAEncryption",
        enums.DigitalSignatureAlgorithm.SHA3_512_WITH_RSA_ENCRYPTION: "SHA3_512WithRSAEncryption",
    },
    enums.HashingAlgorithm: {
        enums.HashingAlgorithm.SHA1: "SHA_1",
        enums.HashingAlgorithm.SHA224: "SHA_224",
        enums.HashingAlgorithm.SHA256: "SHA_256",
        enums.HashingAlgorithm.SHA384: "SHA_384",
        enums.HashingAlgorithm.SHA512: "SHA_512",
        enums.HashingAlgorithm.RIPEMD160: "RIPEMD_160",
        enums.HashingAlgorithm.SHA512_224: "SHA_512_224",
        enums.HashingAlgorithm.SHA512_256: "SHA_512_256",
        enums.HashingAlgorithm.SHA3_224: "SHA3_224",
        enums.HashingAlgorithm.SHA3_256: "SHA3_256",
        enums.HashingAlgorithm.SHA3_384: "SHA3_384",
        enums.HashingAlgorithm.SHA3_512: "SHA3_512",
    },
    enums.KeyCompressionType: {
        enums.KeyCompressionType.EC_PUBLIC_KEY_TYPE_X962_COMPRESSED_PRIME: (
            "ECPublicKeyTypeX9_62CompressedPrime"
        ),
        enums.KeyCompressionType.EC_PUBLIC_KEY_TYPE_X962_COMPRESSED_CHAR2: (
            "ECPublicKeyTypeX9_62CompressedChar2"
        ),
        enums.KeyCompressionType.EC_PUBLIC_KEY_TYPE_X962_HYBRID: "ECPublicKeyTypeX9_62Hybrid",
    },
    enums.KeyFormatType: {
        enums.KeyFormatType.PKCS1: "PKCS_1",
        enums.KeyFormatType.PKCS8: "PKCS_8",
        enums.KeyFormatType.X509: "X_509",
        enums.KeyFormatType.PKCS12: "PKCS_12",
        enums.KeyFormatType.PKCS10: "PKCS_10",
    },
    enums.LinkType: {
        enums.LinkType.PKCS12_CERTIFICATE_LINK: "PKCS_12CertificateLink",
        enums.LinkType.PKCS12_PASSWORD_LINK: "PKCS_12PasswordLink",
    },
    enums.Operation: {
        enums.Operation.PKCS11: "PKCS_11",
    },
    enums.PaddingMethod: {
        enums.PaddingMethod.ANSI_X923: "ANSIX9_23",
        enums.PaddingMethod.PKCS1V15: "PKCS1V1_5",
        enums.PaddingMethod.X931: "X9_31",
    },
    enums.RecommendedCurve: {
        enums.RecommendedCurve.P192: "P_192",
        enums.RecommendedCurve.K163: "K_163",
        enums.RecommendedCurve.B163: "B_163",
        enums.RecommendedCurve.P224: "P_224",
        enums.RecommendedCurve.K233: "K_233",
        enums.RecommendedCurve.B233: "B_233",
        enums.RecommendedCurve.P256: "P_256",
        enums.RecommendedCurve.K283: "K_283",
        enums.RecommendedCurve.B283: "B_283",
        enums.RecommendedCurve.P384: "P_384",
        enums.RecommendedCurve.K409: "K_409",
        enums.RecommendedCurve.B409: "B_409",
        enums.RecommendedCurve.P521: "P_521",
        enums.RecommendedCurve.K571: "K_571",
        enums.RecommendedCurve.B571: "B_571",
    },
    enums.RNGAlgorithm: {
        enums.RNGAlgorithm.FIPS186_2: "FIPS186_2",
        enums.RNGAlgorithm.ANSI_X9_31: "ANSIX9_31",
        enums.RNGAlgorithm.ANSI_X9_62: "ANSIX9_62",
    },
    enums.State: {
        enums.State.DESTROYED_COMPROMISED: "DestroyedCompromised",
    },
    enums.WrappingMethod: {
        enums.WrappingMethod.TR31: "TR_31",
    },
}
_TAGS = {
    "X509CertificateIdentifier": "X_509CertificateIdentifier",
    "X509CertificateIssuer": "X_509CertificateIssuer",
    "X509CertificateSubject": "X_509CertificateSubject",
    "PKCS12FriendlyName": "PKCS_12FriendlyName",
    "PKCS11Interface": "PKCS_11Interface",
    "PKCS11Function": "PKCS_11Function",
    "PKCS11InputParameters": "PKCS_11InputParameters",
    "PKCS11OutputParameters": "PKCS_11OutputParameters",
    "PKCS11ReturnCode": "PKCS_11ReturnCode",
}
_WITHOUT_UNDERSCORES = (enums.ResultReason, enums.State)


def named(item: Item) -> Item:
    """Return `item` with the tags and the values of enumerations spelled as in the profiles."""
    tag = _TAGS.get(item.tag, item.tag)
    if item.type is ItemType.STRUCTURE:
        return Item(tag, item.type, [named(child) for child in item.children])
    if item.type is ItemType.ENUMERATION:
        return Item(tag, item.type, _value(item.value))
    return Item(tag, item.type, item.value)


def _value(value: object) -> int | str:
    if isinstance(value, Enumeration):
        spelled = _SPELLED.get(type(value), {}).get(int(value))
        if spelled is None and isinstance(value, _WITHOUT_UNDERSCORES):
            return value.wire_name.replace("_", "")
        return spelled or value.wire_name
    name = getattr(value, "wire_name", value)  # a tag, as the value of an Attribute Reference
    assert isinstance(name, int | str)  # noqa: S101 (an enumeration holds nothing else)
    return _TAGS.get(name, name) if isinstance(name, str) else name
