"""What Certify and Re-certify share: who is certified, who issues, and the certificate's record.

The issuer is named by links among the request's attributes: to its certificate, to its private key,
or to both; what is missing follows from the links of what is there. Without any the subject issues
its certificate itself. The product's vendor attributes say for how many days it is valid, and which
extensions it has.
"""

import functools
from typing import Any, NamedTuple

import msgspec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from kmsd.crypto import x509
from kmsd.kmip import attributes as attribute_rules
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    CertificateRequestType,
    CertificateType,
    LinkType,
    ObjectType,
    Operation,
    ResultReason,
    State,
)
from kmsd.kmip.errors import KmipError
from kmsd.kmip.objects import Certificate
from kmsd.operations import importing, usable
from kmsd.operations.call import Call
from kmsd.operations.links import linked, linked_by, with_link
from kmsd.operations.target import Target, find, permitted
from kmsd.store.interfaces import Record

DAYS = "requested_validity_days"
EXTENSIONS = "x509-extension"
PERMIT = frozenset({"certify"})

_ISSUER_KEY = Target(
    permit=frozenset({"certify", "sign", "get"}),
    states=frozenset({State.ACTIVE}),
    types=frozenset({ObjectType.PRIVATE_KEY}),
    not_found=ResultReason.ITEM_NOT_FOUND,
    exact=True,
)
_ISSUER_CERTIFICATE = Target(
    permit=frozenset({"certify", "get"}),
    states=frozenset({State.ACTIVE}),
    types=frozenset({ObjectType.CERTIFICATE}),
    not_found=ResultReason.ITEM_NOT_FOUND,
    exact=True,
)
_OF_THE_ISSUER = frozenset({LinkType.CERTIFICATE_LINK, LinkType.PRIVATE_KEY_LINK})


class Issuer(NamedTuple):
    """Who issues: a private key, and its certificate unless the subject issues for itself."""

    key: Record
    certificate: Record | None


class Halves(NamedTuple):
    """The stored keys that a certificate is for, as far as they are known."""

    public: Record | None = None
    private: Record | None = None


def requested_subject(request_type: CertificateRequestType | None, value: bytes) -> x509.Subject:
    """Return the subject of a certificate request.

    Raises:
        KmipError: INVALID_CSR: it is malformed, not signed by its key, or neither PKCS#10 nor PEM.
    """
    if request_type not in {None, CertificateRequestType.PKCS10, CertificateRequestType.PEM}:
        raise KmipError(
            ResultReason.INVALID_CSR,
            "certificate requests are read in PKCS#10, as DER or PEM",
        )
    try:
        return x509.load_request(value)
    except KmipError as error:
        raise KmipError(ResultReason.INVALID_CSR, error.message) from None


def loaded(record: Record) -> Any:
    """Return the X.509 certificate in a record.

    Raises:
        KmipError: it holds none.
    """
    managed_object = record.managed_object
    if not isinstance(managed_object, Certificate):
        raise KmipError(
            ResultReason.INVALID_OBJECT_TYPE, f"{record.unique_identifier} is no certificate"
        )
    return x509.load_certificate(managed_object.certificate_value)


async def named_issuer(call: Call, attributes: Attributes) -> Issuer | None:
    """Return the issuer that the links of a request name; None when there are none.

    Raises:
        KmipError: the caller may not use it, it is not active, or half of it cannot be found.
    """
    certificate = linked_by(attributes, LinkType.CERTIFICATE_LINK)
    key = linked_by(attributes, LinkType.PRIVATE_KEY_LINK)
    if certificate is not None:
        return await issuer_by_certificate(call, certificate, key)
    if key is not None:
        return await _issuer_by_key(call, key)
    return None


async def issuer_by_certificate(call: Call, uid: str, key: str | None = None) -> Issuer:
    """Return the issuer whose certificate this is. Raises: KmipError as `named_issuer`."""
    (certificate,) = await find(call, Operation.CERTIFY, _ISSUER_CERTIFICATE, uid)
    key = key or linked(certificate, LinkType.PRIVATE_KEY_LINK)
    if key is None:
        public = await _linked(call, certificate, LinkType.PUBLIC_KEY_LINK)
        key = linked(public, LinkType.PRIVATE_KEY_LINK) if public else None
    if key is None:
        raise _half_missing(uid, "private key")
    issuer = Issuer(await issuer_key(call, key), certificate)
    await _check_match(call, issuer)
    return issuer


async def _issuer_by_key(call: Call, uid: str) -> Issuer:
    key = await issuer_key(call, uid)
    certificate = linked(key, LinkType.CERTIFICATE_LINK)
    if certificate is None:
        public = await _linked(call, key, LinkType.PUBLIC_KEY_LINK)
        certificate = linked(public, LinkType.CERTIFICATE_LINK) if public else None
    if certificate is None:
        raise _half_missing(uid, "certificate")
    return await issuer_by_certificate(call, certificate, uid)


async def issuer_key(call: Call, uid: str) -> Record:
    """Return a private key that may sign certificates for the caller. Raises: KmipError."""
    (key,) = await find(call, Operation.CERTIFY, _ISSUER_KEY, uid)
    return key


async def _linked(call: Call, record: Record, link_type: LinkType) -> Record | None:
    uid = linked(record, link_type)
    return await call.store.get(uid) if uid else None


def _half_missing(uid: str, half: str) -> KmipError:
    return KmipError(
        ResultReason.ITEM_NOT_FOUND,
        f"Invalid Certify request: the {half} of the issuer {uid} was not found: link to both",
    )


async def _check_match(call: Call, issuer: Issuer) -> None:
    """Refuse a key that is not the one in the issuer's certificate. Raises: KmipError."""
    assert issuer.certificate is not None  # noqa: S101 (asked for issuers with certificates only)
    key = await usable.private_key(call, issuer.key)
    if not same_key(key.public_key(), x509.public_key_of(loaded(issuer.certificate))):
        raise KmipError(
            ResultReason.INVALID_FIELD,
            f"Invalid Certify request: {issuer.key.unique_identifier} is not the key in the"
            f" certificate {issuer.certificate.unique_identifier}",
        )


def same_key(one: Any, other: Any) -> bool:
    """Tell whether two public keys are the same."""
    return _encoded(one) == _encoded(other)


def _encoded(public_key: Any) -> bytes:
    encoded: bytes = public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return encoded


async def issued(
    call: Call,
    subject: x509.Subject,
    issuer: Issuer,
    attributes: Attributes,
    begins: int,
    days: int = x509.DEFAULT_DAYS,
) -> Certificate:
    """Issue a certificate, off the reactor thread.

    Args:
        call: the operation.
        subject: who is certified.
        issuer: who signs.
        attributes: of the request: days of validity and extensions are among them.
        begins: when it becomes valid, in seconds since the epoch.
        days: of validity, where the request does not say.

    Raises:
        KmipError: an extension or the validity is malformed, or the key cannot sign.
    """
    signer = x509.Issuer(
        await usable.private_key(call, issuer.key),
        loaded(issuer.certificate) if issuer.certificate else None,
    )
    sign = functools.partial(
        x509.issue,
        subject,
        signer,
        now=begins,
        days=_days(attributes, days),
        extensions=attribute_rules.vendor_value(attributes, EXTENSIONS) or b"",
    )
    return Certificate(
        certificate_type=CertificateType.X509,
        certificate_value=x509.der(await call.offload(sign)),
    )


def _days(attributes: Attributes, default: int) -> int:
    value = attribute_rules.vendor_value(attributes, DAYS)
    if value is None:
        return default
    try:
        return int(value.decode("ascii"))
    except ValueError:
        raise KmipError(
            ResultReason.INVALID_ATTRIBUTE_VALUE, f"{DAYS} is a decimal number of days"
        ) from None


def described(
    attributes: Attributes,
    unique_identifier: str,
    certificate: Certificate,
    issuer: Issuer,
    halves: Halves,
) -> Attributes:
    """Return the attributes of a certificate: what the request asks for, and what it is.

    Its links lead to the certificate of its issuer, or to itself, and to the keys it is for.
    """
    links = tuple(link for link in attributes.link if link.link_type not in _OF_THE_ISSUER)
    kept = msgspec.structs.replace(
        attributes,
        link=links,
        cryptographic_domain_parameters=None,
        cryptographic_usage_mask=None,
        unique_identifier=None,
    )
    for name in (DAYS, EXTENSIONS):
        kept = attribute_rules.without_vendor(kept, name)
    by = issuer.certificate.unique_identifier if issuer.certificate else unique_identifier
    kept = with_link(kept, LinkType.CERTIFICATE_LINK, by)
    if halves.public is not None:
        kept = with_link(kept, LinkType.PUBLIC_KEY_LINK, halves.public.unique_identifier)
    if halves.private is not None:
        kept = with_link(kept, LinkType.PRIVATE_KEY_LINK, halves.private.unique_identifier)
    return importing.certified(certificate, kept)


async def halves_of(call: Call, record: Record) -> Halves:
    """Return the stored keys that a certificate, or either half of a pair, belongs to."""
    kind = record.attributes.object_type
    public = record if kind is ObjectType.PUBLIC_KEY else None
    private = record if kind is ObjectType.PRIVATE_KEY else None
    if public is None:
        public = await _linked(call, record, LinkType.PUBLIC_KEY_LINK)
    if private is None:
        private = await _linked(call, record, LinkType.PRIVATE_KEY_LINK)
    if private is None and public is not None:
        private = await _linked(call, public, LinkType.PRIVATE_KEY_LINK)
    return Halves(public, private)


def certified_keys(call: Call, halves: Halves, certificate: str) -> list[Record]:
    """Return the keys with their link to the new certificate, as far as the caller may set it."""
    return [
        msgspec.structs.replace(
            key, attributes=with_link(key.attributes, LinkType.CERTIFICATE_LINK, certificate)
        )
        for key in halves
        if key is not None and key.version and permitted(key, call.caller.name, PERMIT)
    ]
