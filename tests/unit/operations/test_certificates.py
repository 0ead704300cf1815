"""Certify, Re-certify, Validate and revocation lists."""

import http.server
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from kmsd.crypto import x509 as certificates
from kmsd.kmip.attributes import Attributes, tags, with_tags, with_vendor
from kmsd.kmip.enums import (
    CertificateRequestType,
    CertificateType,
    CryptographicAlgorithm,
    LinkType,
    ObjectType,
    RecommendedCurve,
    ResultReason,
    RevocationReasonCode,
    State,
    ValidityIndicator,
)
from kmsd.kmip.generations import Generation
from kmsd.kmip.objects import Certificate, CertificateRequest
from kmsd.kmip.structures import (
    CertificateAttributes,
    CryptographicDomainParameters,
    Link,
    Name,
)
from kmsd.operations import revocation_lists
from kmsd.operations.call import Call, Caller
from kmsd.operations.certify import Certify
from kmsd.operations.destroy import Destroy
from kmsd.operations.get import Get
from kmsd.operations.get_attributes import GetAttributes
from kmsd.operations.import_ import Import
from kmsd.operations.locate import Locate
from kmsd.operations.recertify import ReCertify
from kmsd.operations.register import Register
from kmsd.operations.validate import Validate
from kmsd.ttlv import Item, ItemType
from kmsd.ttlv.schema import dump
from tests.server import NOW, Kms
from tests.using_keys import pair, revoke

ensure = pytest_twisted.ensureDeferred
DAY = 86_400
CA = "[ v3_ca ]\nbasicConstraints=critical,CA:true\nkeyUsage=critical,keyCertSign,cRLSign\n"
ECDSA = CryptographicAlgorithm.ECDSA


def vendor(attributes: Attributes, name: str, value: str) -> Attributes:
    return with_vendor(
        attributes, name, Item("AttributeValue", ItemType.BYTE_STRING, value.encode())
    )


def named(common_name: str, **fields: Any) -> Attributes:
    """Attributes with a subject's name; clients send all other parts empty."""
    name = CertificateAttributes(
        certificate_subject_cn=common_name, certificate_subject_o="", certificate_issuer_cn=""
    )
    return Attributes(certificate_attributes=name, **fields)


def issued_by(certificate: str | None = None, key: str | None = None) -> tuple[Link, ...]:
    links = ((LinkType.CERTIFICATE_LINK, certificate), (LinkType.PRIVATE_KEY_LINK, key))
    return tuple(Link(link_type=kind, linked_object_identifier=uid) for kind, uid in links if uid)


async def keys(kms: Kms, uid: str) -> str:
    """Make a key pair of this name; return the public half's identifier."""
    _, public = await pair(kms, ECDSA, curve=RecommendedCurve.P256, uid=uid)
    return public


async def certified(kms: Kms, attributes: Attributes, **fields: Any) -> str:
    answer = await kms(Certify(attributes=attributes, **fields))
    assert isinstance(answer.unique_identifier, str)
    return answer.unique_identifier


async def authority(kms: Kms, uid: str = "ca") -> str:
    """Make a certificate authority with a certificate of this identifier."""
    public = await keys(kms, f"{uid}-key")
    attributes = vendor(named(uid, unique_identifier=uid), "x509-extension", CA)
    return await certified(kms, attributes, unique_identifier=public)


async def leaf(kms: Kms, uid: str, issuer: str = "ca", extensions: str = "") -> str:
    """Make a certificate of this identifier under an authority."""
    public = await keys(kms, f"{uid}-key")
    attributes = named(uid, unique_identifier=uid, link=issued_by(issuer))
    if extensions:
        attributes = vendor(attributes, "x509-extension", f"[ v3_ca ]\n{extensions}\n")
    return await certified(kms, attributes, unique_identifier=public)


async def parsed(kms: Kms, uid: str) -> x509.Certificate:
    answer = await kms(Get(unique_identifier=uid))
    assert isinstance(answer.managed_object, Certificate)
    return x509.load_der_x509_certificate(answer.managed_object.certificate_value)


async def attributes_of(kms: Kms, uid: str) -> Attributes:
    answer = await kms(GetAttributes(unique_identifier=uid))
    assert isinstance(answer.attributes, Attributes)
    return answer.attributes


def links(attributes: Attributes) -> dict[LinkType, str | None]:
    return {link.link_type: link.linked_object_identifier for link in attributes.link}


async def verdict(kms: Kms, *uids: str, **fields: Any) -> ValidityIndicator:
    answer = await kms(Validate(unique_identifier=uids, **fields))
    assert isinstance(answer.validity_indicator, ValidityIndicator)
    return answer.validity_indicator


@ensure  # type: ignore[untyped-decorator]
async def test_a_public_key_gets_a_certificate_of_its_own(kms: Kms) -> None:
    """Self-signed for a year from now, linked to the keys and they to it, Active."""
    public = await keys(kms, "k")
    uid = await certified(kms, named("me"), unique_identifier=public)
    certificate = await parsed(kms, uid)
    assert certificate.subject == certificate.issuer
    certificate.verify_directly_issued_by(certificate)
    assert certificate.not_valid_before_utc.timestamp() == NOW
    assert certificate.not_valid_after_utc.timestamp() == NOW + 365 * DAY
    found = await attributes_of(kms, uid)
    assert links(found) == {
        LinkType.CERTIFICATE_LINK: uid,
        LinkType.PUBLIC_KEY_LINK: public,
        LinkType.PRIVATE_KEY_LINK: "k",
    }
    assert (found.state, found.certificate_type) == (State.ACTIVE, CertificateType.X509)
    assert tags(found) == {"_cert"}
    assert found.certificate_attributes is not None
    assert found.certificate_attributes.certificate_issuer_cn == "me"
    for half in (public, "k"):
        assert links(await attributes_of(kms, half))[LinkType.CERTIFICATE_LINK] == uid
    await kms(Destroy(unique_identifier=uid))


@pytest.mark.parametrize("by", ["certificate", "key", "both"])
@ensure  # type: ignore[untyped-decorator]
async def test_an_issuer_is_found_by_either_half(kms: Kms, by: str) -> None:
    """Its certificate, its private key or both may be linked to."""
    await authority(kms)
    public = await keys(kms, "k")
    link = issued_by(None if by == "key" else "ca", None if by == "certificate" else "ca-key")
    uid = await certified(kms, named("leaf", link=link), unique_identifier=public)
    certificate = await parsed(kms, uid)
    certificate.verify_directly_issued_by(await parsed(kms, "ca"))
    assert links(await attributes_of(kms, uid))[LinkType.CERTIFICATE_LINK] == "ca"


@pytest.mark.parametrize("form", ["DER", "PEM"])
@ensure  # type: ignore[untyped-decorator]
async def test_a_certificate_request_is_served(kms: Kms, form: str) -> None:
    """Subject, key and extensions are those of the request; an issuer is needed."""
    await authority(kms)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "asked")])
    alternative = x509.SubjectAlternativeName([x509.DNSName("asked.example")])
    request = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(name)
        .add_extension(alternative, critical=False)
        .sign(key, hashes.SHA256())
    )
    asked = {
        "certificate_request_type": CertificateRequestType.PEM
        if form == "PEM"
        else CertificateRequestType.PKCS10,
        "certificate_request_value": request.public_bytes(getattr(Encoding, form)),
    }
    uid = await certified(kms, Attributes(link=issued_by("ca")), **asked)
    certificate = await parsed(kms, uid)
    assert certificate.subject == name
    assert certificate.public_key() == key.public_key()
    assert (
        certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        == alternative
    )
    error = await kms.refused(Certify(attributes=Attributes(), **asked))  # type: ignore[arg-type]
    assert "no issuer" in error.message


@ensure  # type: ignore[untyped-decorator]
async def test_a_stored_certificate_request_is_served(kms: Kms) -> None:
    """A registered CertificateRequest object can be named."""
    await authority(kms)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stored")])
    value = certificates.make_request(key, name)
    await kms(
        Register(
            object_type=ObjectType.CERTIFICATE_REQUEST,
            attributes=Attributes(unique_identifier="csr"),
            managed_object=CertificateRequest(
                certificate_request_type=CertificateRequestType.PKCS10,
                certificate_request_value=value,
            ),
        )
    )
    link = Attributes(link=issued_by("ca"))
    uid = await certified(kms, link, unique_identifier="csr")
    assert (await parsed(kms, uid)).subject == name


@pytest.mark.parametrize(
    ("request_type", "value"),
    [
        (CertificateRequestType.CRMF, b""),
        (CertificateRequestType.PKCS10, b"nonsense"),
        (CertificateRequestType.PEM, b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n"),
    ],
)
@ensure  # type: ignore[untyped-decorator]
async def test_other_certificate_requests_are_refused(
    kms: Kms, request_type: CertificateRequestType, value: bytes
) -> None:
    """The reason is KMIP's own."""
    error = await kms.refused(
        Certify(certificate_request_type=request_type, certificate_request_value=value)
    )
    assert error.reason is ResultReason.INVALID_CSR


@ensure  # type: ignore[untyped-decorator]
async def test_a_new_pair_can_be_made_with_its_certificate(kms: Kms) -> None:
    """Attributes that name an algorithm and a subject are enough."""
    domain = CryptographicDomainParameters(recommended_curve=RecommendedCurve.P384)
    attributes = named("new", cryptographic_algorithm=ECDSA, cryptographic_domain_parameters=domain)
    uid = await certified(kms, attributes)
    found = links(await attributes_of(kms, uid))
    private = found[LinkType.PRIVATE_KEY_LINK] or ""
    assert links(await attributes_of(kms, private))[LinkType.CERTIFICATE_LINK] == uid
    assert await verdict(kms, uid) is ValidityIndicator.VALID


@ensure  # type: ignore[untyped-decorator]
async def test_a_certificate_is_renewed_in_its_place(kms: Kms) -> None:
    """Same identifier, owner, subject, key, issuer, tags and name; new serial number and time."""
    await authority(kms)
    await leaf(kms, "leaf")
    record = await kms.store.get("leaf")
    assert record is not None
    before = await parsed(kms, "leaf")
    kms.clock.now += 10 * DAY
    wanted = with_tags(Attributes(), frozenset({"renewed"}))
    assert await certified(kms, wanted, unique_identifier="leaf") == "leaf"
    after = await parsed(kms, "leaf")
    assert (after.subject, after.issuer) == (before.subject, before.issuer)
    assert after.public_key() == before.public_key()
    assert after.serial_number != before.serial_number
    assert after.not_valid_before_utc.timestamp() == NOW + 10 * DAY
    assert tags(await attributes_of(kms, "leaf")) == {"renewed", "_cert"}
    assert (
        await certified(kms, Attributes(unique_identifier="copy"), unique_identifier="leaf")
        == "copy"
    )


@ensure  # type: ignore[untyped-decorator]
async def test_no_certificate_outlives_its_issuer(kms: Kms) -> None:
    """The days asked for are cut at the end of the issuer's certificate."""
    await authority(kms)
    public = await keys(kms, "k")
    attributes = vendor(named("long", link=issued_by("ca")), "requested_validity_days", "4000")
    uid = await certified(kms, attributes, unique_identifier=public)
    end = (await parsed(kms, uid)).not_valid_after_utc
    assert end == (await parsed(kms, "ca")).not_valid_after_utc
    for wrong in ("soon", "-1", "0"):
        attributes = vendor(named("x"), "requested_validity_days", wrong)
        error = await kms.refused(Certify(unique_identifier=public, attributes=attributes))
        assert error.reason is ResultReason.INVALID_ATTRIBUTE_VALUE


@ensure  # type: ignore[untyped-decorator]
async def test_what_cannot_be_certified(kms: Kms) -> None:
    """A symmetric key, a public key without a name, nothing at all."""
    await kms.key("aes")
    public = await keys(kms, "k")
    for request, reason in (
        (Certify(unique_identifier="aes"), ResultReason.INVALID_OBJECT_TYPE),
        (Certify(unique_identifier=public), ResultReason.INVALID_FIELD),
        (Certify(), ResultReason.INVALID_FIELD),
    ):
        error = await kms.refused(request)
        assert error.reason is reason
        assert "Invalid Certify request" in error.message
    error = await kms.refused(Certify(unique_identifier="nobody"))
    assert error.reason is ResultReason.ITEM_NOT_FOUND


@ensure  # type: ignore[untyped-decorator]
async def test_nobody_issues_with_anothers_authority(kms: Kms) -> None:
    """The issuer's key needs a right to certify, sign or get; half of it is not enough."""
    await authority(kms)
    bob = kms.by("bob")
    public = await keys(bob, "k")
    request = Certify(unique_identifier=public, attributes=named("x", link=issued_by("ca")))
    error = await bob.refused(request)
    assert error.reason is ResultReason.ITEM_NOT_FOUND
    await kms.store.grant("ca", "bob", frozenset({"get"}))
    await bob.refused(request)
    await kms.store.grant("ca-key", "bob", frozenset({"sign"}))
    await bob(request)


@ensure  # type: ignore[untyped-decorator]
async def test_an_issuer_must_be_active_and_whole(kms: Kms) -> None:
    """A revoked key issues nothing, nor does a key that is not the certificate's."""
    await authority(kms)
    public = await keys(kms, "k")
    mixed = named("x", link=issued_by("ca", "k"))
    error = await kms.refused(Certify(unique_identifier=public, attributes=mixed))
    assert "is not the key in the certificate" in error.message
    await revoke(kms, "ca-key")
    request = Certify(unique_identifier=public, attributes=named("x", link=issued_by("ca")))
    error = await kms.refused(request)
    assert error.reason is ResultReason.WRONG_KEY_LIFECYCLE_STATE


@ensure  # type: ignore[untyped-decorator]
async def test_who_may_only_get_a_key_changes_nothing_of_it(kms: Kms) -> None:
    """A reader of a public key may have it certified elsewhere, but neither link nor renew it."""
    public = await keys(kms, "k")
    own = await certified(kms, named("me"), unique_identifier=public)
    bob = kms.by("bob")
    await authority(bob, "bobs")
    for uid in (public, own):
        await kms.store.grant(uid, "bob", frozenset({"get"}))
    await certified(bob, named("x", link=issued_by("bobs")), unique_identifier=public)
    assert links(await attributes_of(kms, public))[LinkType.CERTIFICATE_LINK] == own
    error = await bob.refused(
        Certify(unique_identifier=own, attributes=Attributes(link=issued_by("bobs")))
    )
    assert error.reason is ResultReason.PERMISSION_DENIED


@ensure  # type: ignore[untyped-decorator]
async def test_recertify_gives_a_certificate_a_successor(kms: Kms) -> None:
    """Linked both ways first of all; the name and the keys' links move; the old one ends."""
    await authority(kms)
    public = await keys(kms, "k")
    attributes = named("leaf", link=issued_by("ca"), name=(Name(name_value="web"),))
    old = await certified(
        kms, vendor(attributes, "requested_validity_days", "90"), unique_identifier=public
    )
    kms.clock.now += DAY
    new = (await kms(ReCertify(unique_identifier=old))).unique_identifier
    before, after = await attributes_of(kms, old), await attributes_of(kms, new)
    assert (before.link[0].link_type, before.link[0].linked_object_identifier) == (
        LinkType.REPLACEMENT_OBJECT_LINK,
        new,
    )
    assert (after.link[0].link_type, after.link[0].linked_object_identifier) == (
        LinkType.REPLACED_OBJECT_LINK,
        old,
    )
    assert links(after)[LinkType.CERTIFICATE_LINK] == "ca"
    assert (before.state, after.state) == (State.DEACTIVATED, State.ACTIVE)
    assert (before.rotate_latest, after.rotate_latest) == (None, True)
    located = await kms(Locate(attributes=dump(Attributes(name=(Name(name_value="web"),)))))
    assert located.unique_identifier == (new,)
    for half in (public, "k"):
        assert links(await attributes_of(kms, half))[LinkType.CERTIFICATE_LINK] == new
    certificate = await parsed(kms, new)
    valid = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert valid.days == 90
    assert certificate.public_key() == (await parsed(kms, old)).public_key()


@ensure  # type: ignore[untyped-decorator]
async def test_recertify_names_what_it_lacks(kms: Kms) -> None:
    """Without an identifier, of a key, of a destroyed certificate, and without the right."""
    error = await kms.refused(ReCertify())
    assert "ReCertify" in error.message
    await kms.key("aes")
    error = await kms.refused(ReCertify(unique_identifier="aes"))
    assert error.reason is ResultReason.INVALID_OBJECT_TYPE
    public = await keys(kms, "k")
    uid = await certified(kms, named("x"), unique_identifier=public)
    await kms.store.grant(uid, "bob", frozenset({"get", "certify"}))
    error = await kms.by("bob").refused(ReCertify(unique_identifier=uid))
    assert error.reason is ResultReason.OBJECT_NOT_FOUND
    await kms(Destroy(unique_identifier=uid))
    error = await kms.refused(ReCertify(unique_identifier=uid))
    assert error.reason is ResultReason.WRONG_KEY_LIFECYCLE_STATE


@ensure  # type: ignore[untyped-decorator]
async def test_chains_are_valid_in_any_order_stored_or_sent(kms: Kms) -> None:
    """A leaf alone is completed with its stored issuers; sent certificates count as well."""
    await authority(kms)
    public = await keys(kms, "sub-key")
    intermediate = vendor(
        named("sub", unique_identifier="sub", link=issued_by("ca")), "x509-extension", CA
    )
    await certified(kms, intermediate, unique_identifier=public)
    await leaf(kms, "leaf", "sub")
    assert await verdict(kms, "leaf") is ValidityIndicator.VALID
    assert await verdict(kms, "leaf", "ca", "sub") is ValidityIndicator.VALID
    sent = [(await kms(Get(unique_identifier=uid))).managed_object for uid in ("sub", "leaf")]
    assert await verdict(kms, "ca", certificate=tuple(sent)) is ValidityIndicator.VALID
    raw = tuple(each.certificate_value for each in sent)
    assert await verdict(kms, "ca", certificate=raw) is ValidityIndicator.VALID
    error = await kms.refused(Validate(certificate=raw))
    assert "Certificate error" in error.message


@pytest.mark.parametrize(
    ("field", "value", "valid"),
    [
        ("validity_date", NOW + 5, True),
        ("validity_date", NOW - 5, False),
        ("validity_date", NOW + 366 * DAY, False),
        ("validity_time", "2701150801Z", True),
        ("validity_time", "270115080100Z", True),
        ("validity_time", "20270115080100Z", True),
        ("validity_time", "4804152030Z", False),
    ],
)
@ensure  # type: ignore[untyped-decorator]
async def test_validity_is_a_matter_of_time(
    kms: Kms, field: str, value: object, *, valid: bool
) -> None:
    """Before and after its days a certificate is not valid; the time may be said as in ASN.1."""
    public = await keys(kms, "k")
    uid = await certified(kms, named("me"), unique_identifier=public)
    found = await verdict(kms.as_(Generation.KMIP), uid, **{field: value})
    assert found is (ValidityIndicator.VALID if valid else ValidityIndicator.INVALID)


@ensure  # type: ignore[untyped-decorator]
async def test_how_an_invalid_chain_is_told(kms: Kms) -> None:
    """By the book and to 4.x clients as Invalid, to 5.x clients as an error with the reason."""
    public = await keys(kms, "k")
    uid = await certified(kms, named("me"), unique_identifier=public)
    kms.clock.now += 400 * DAY
    for generation in (Generation.KMIP, Generation.V4):
        assert await verdict(kms.as_(generation), uid) is ValidityIndicator.INVALID
    error = await kms.refused(Validate(unique_identifier=(uid,)))
    assert "expired" in error.message


@ensure  # type: ignore[untyped-decorator]
async def test_what_cannot_be_validated(kms: Kms) -> None:
    """Nothing, what is no certificate, what is not there, what is compromised or another's."""
    await kms.key("aes")
    public = await keys(kms, "k")
    uid = await certified(kms, named("me"), unique_identifier=public)
    assert (await kms.refused(Validate())).reason is ResultReason.INVALID_FIELD
    nonsense = Validate(certificate=(b"nonsense",))
    assert (await kms.refused(nonsense)).reason is ResultReason.INVALID_ATTRIBUTE_VALUE
    error = await kms.refused(Validate(unique_identifier=("aes",)))
    assert error.reason is ResultReason.INVALID_OBJECT_TYPE
    for client, name in ((kms, "nobody"), (kms.by("bob"), uid)):
        error = await client.refused(Validate(unique_identifier=(name,)))
        assert error.reason is ResultReason.OBJECT_NOT_FOUND
    await revoke(kms, uid, RevocationReasonCode.KEY_COMPROMISE)
    error = await kms.refused(Validate(unique_identifier=(uid,)))
    assert "not found" in error.message


@ensure  # type: ignore[untyped-decorator]
async def test_a_revoked_certificate_is_invalid_without_any_list(kms: Kms) -> None:
    """The state of a stored certificate is known here; its keys stay as they were."""
    await authority(kms)
    await leaf(kms, "leaf")
    await revoke(kms, "leaf")
    error = await kms.refused(Validate(unique_identifier=("leaf",)))
    assert "revoked" in error.message
    assert (await attributes_of(kms, "leaf-key")).state is State.ACTIVE


async def crl(kms: Kms, issuer: str, days: int | None = None) -> x509.CertificateRevocationList:
    """Return the list that the server makes."""
    call = Call(
        caller=Caller(kms.caller),
        store=kms.store,
        services=kms.engine.services,
        now=int(kms.clock.now),
    )
    return x509.load_pem_x509_crl(await revocation_lists.generate(call, issuer, days, pem=True))


@ensure  # type: ignore[untyped-decorator]
async def test_a_list_has_what_was_revoked_here_and_a_growing_number(kms: Kms) -> None:
    """Revoked certificates of the issuer, whoever owns them, with date and reason; no others."""
    ca = await authority(kms)
    await kms.store.grant("ca", "bob", frozenset({"get"}))
    await kms.store.grant("ca-key", "bob", frozenset({"certify"}))
    await leaf(kms, "good")
    await leaf(kms.by("bob"), "bad")
    await leaf(kms, "gone")
    await revoke(kms.by("bob"), "bad", RevocationReasonCode.KEY_COMPROMISE)
    await revoke(kms, "gone", RevocationReasonCode.SUPERSEDED)
    await kms(Destroy(unique_identifier="gone"))
    made = await crl(kms, ca)
    bad = await kms.store.get("bad")
    assert bad is not None
    assert isinstance(bad.managed_object, Certificate)
    serial = x509.load_der_x509_certificate(bad.managed_object.certificate_value).serial_number
    assert len(made) == 2
    entry = made.get_revoked_certificate_by_serial_number(serial)
    assert entry is not None
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is x509.ReasonFlags.key_compromise
    assert made.is_signature_valid((await parsed(kms, ca)).public_key())  # type: ignore[arg-type]
    again = await crl(kms, ca, 30)
    numbers = [
        each.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        for each in (made, again)
    ]
    assert numbers[1] == numbers[0] + 1
    assert again.next_update_utc is not None
    assert again.next_update_utc.timestamp() == NOW + 30 * DAY


@ensure  # type: ignore[untyped-decorator]
async def test_a_namesake_revokes_nothing_in_anothers_list(kms: Kms) -> None:
    """A certificate under an issuer of the same name and another key is not in the list."""
    ca = await authority(kms)
    mallory = kms.by("mallory")
    public = await keys(mallory, "fake-key")
    fake = vendor(named("ca", unique_identifier="fake"), "x509-extension", CA)
    await certified(mallory, fake, unique_identifier=public)
    await leaf(mallory, "theirs", "fake")
    await revoke(mallory, "theirs")
    assert len(await crl(kms, ca)) == 0


@ensure  # type: ignore[untyped-decorator]
async def test_lists_are_made_for_who_may_use_the_key(kms: Kms) -> None:
    """Others find no such issuer; a symmetric key is none."""
    await authority(kms)
    await kms.key("aes")
    for client, uid in ((kms.by("bob"), "ca"), (kms, "aes"), (kms, "nobody")):
        with pytest.raises(Exception, match=r"no valid key|not found"):
            await crl(client, uid)
    with pytest.raises(Exception, match="1 to 366 days"):
        await crl(kms, "ca", 0)


async def with_list(kms: Kms, place: str) -> None:
    """Make a leaf that points to a list."""
    await authority(kms)
    await leaf(kms, "leaf", extensions=f"crlDistributionPoints=URI:{place}")


def write(path: Path, made: x509.CertificateRevocationList, form: str = "PEM") -> None:
    path.write_bytes(made.public_bytes(getattr(Encoding, form)))


@ensure  # type: ignore[untyped-decorator]
async def test_a_list_in_a_file_is_followed(kms: Kms, tmp_path: Path) -> None:
    """No list: not valid. A list: valid. A list with the certificate: revoked. An old list: no."""
    path = tmp_path / "list.pem"
    await with_list(kms, path.as_uri())
    error = await kms.refused(Validate(unique_identifier=("leaf",)))
    assert "no current revocation list" in error.message
    write(path, await crl(kms, "ca"))
    assert await verdict(kms, "leaf") is ValidityIndicator.VALID
    sent = (await kms(Get(unique_identifier="leaf"))).managed_object
    await revoke(kms, "leaf")
    write(path, await crl(kms, "ca"), "DER")
    error = await kms.refused(Validate(unique_identifier=("ca",), certificate=(sent,)))
    assert "revoked" in error.message
    kms.clock.now += 30 * DAY
    error = await kms.refused(Validate(unique_identifier=("ca",), certificate=(sent,)))
    assert "no current revocation list" in error.message


class _Handler(http.server.BaseHTTPRequestHandler):
    """Serves one list, a redirect to it, and worse."""

    content = b""

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/list")
            self.end_headers()
            return
        if self.path == "/to-file":
            self.send_response(302)
            self.send_header("Location", "file:///etc/passwd")
            self.end_headers()
            return
        self.send_response(200 if self.path == "/list" else 404)
        self.end_headers()
        self.wfile.write(self.content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def web() -> Iterator[str]:
    """A web server on loopback."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize(
    ("path", "found"), [("/list", True), ("/moved", True), ("/nowhere", False), ("/to-file", False)]
)
@ensure  # type: ignore[untyped-decorator]
async def test_a_list_on_the_web_is_followed(kms: Kms, path: str, *, found: bool) -> None:
    """Also through a redirect, but never from the web to a file."""
    with web() as url:
        await with_list(kms, url + path)
        _Handler.content = (await crl(kms, "ca")).public_bytes(Encoding.DER)
        if found:
            assert await verdict(kms, "leaf") is ValidityIndicator.VALID
        else:
            error = await kms.refused(Validate(unique_identifier=("leaf",)))
            assert "no current revocation list" in error.message


NOWHERE = [
    "/dev/zero",
    "/none",
    "file://host/x",
    "ftp://[::1]/x",
    "http://[::1]:1/",
    "http://[",
    "",
]


@pytest.mark.parametrize("place", NOWHERE)
def test_other_places_hold_no_list(place: str) -> None:
    """Devices, other hosts' files, other protocols, closed ports: the answer is at once none."""
    assert revocation_lists.read(place) is None


def test_a_pipe_or_a_huge_file_holds_no_list(tmp_path: Path) -> None:
    """Reading them would never end, or fill the memory."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert revocation_lists.read(pipe.as_uri()) is None
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(1 << 30)
    assert revocation_lists.read(huge.as_uri()) is None


@ensure  # type: ignore[untyped-decorator]
async def test_an_imported_certificate_can_be_certified_anew_elsewhere(kms: Kms) -> None:
    """A certificate without keys here is renewed by a named issuer only."""
    await authority(kms)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "foreign")])
    subject = certificates.Subject(name, key.public_key())
    foreign = certificates.issue(subject, certificates.Issuer(key), now=NOW)
    await kms(
        Import(
            unique_identifier="foreign",
            object_type=ObjectType.CERTIFICATE,
            managed_object=Certificate(
                certificate_type=CertificateType.X509,
                certificate_value=certificates.der(foreign),
            ),
        )
    )
    for request in (Certify(unique_identifier="foreign"), ReCertify(unique_identifier="foreign")):
        await kms.refused(request)
    answer = await kms(
        ReCertify(unique_identifier="foreign", attributes=Attributes(link=issued_by("ca")))
    )
    renewed = await parsed(kms, answer.unique_identifier)
    assert renewed.public_key() == key.public_key()
    assert await verdict(kms, answer.unique_identifier) is ValidityIndicator.VALID
