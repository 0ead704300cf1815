"""Certificates, their names and extensions, chains, revocation lists, requests, PKCS#7."""

from __future__ import annotations

import datetime as dt
from functools import cache

import pytest
from cryptography import x509 as library
from cryptography.hazmat.primitives import hashes, serialization

from kmsd.crypto import (
    generate,
    x509,
    x509_chains,
    x509_constraints,
    x509_crl,
    x509_extensions,
    x509_names,
)
from kmsd.crypto.keys import PrivateKey
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import RecommendedCurve as Curve
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.enums import RevocationReasonCode as Reason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import CertificateAttributes

NOW = 1_800_000_000
DAY = 86_400
CA_TEXT = b"""
[ v3_ca ]
basicConstraints=critical,CA:true
keyUsage=critical,keyCertSign,crlSign
subjectKeyIdentifier=hash
authorityKeyIdentifier=keyid
"""
POINT = "http://crl.example/list.pem"
LEAF_TEXT = f"[v3_ca]\ncrlDistributionPoints=URI:{POINT}\n".encode()


@cache
def key(name: str, algorithm: Algorithm = Algorithm.ECDH) -> PrivateKey:
    """A key of its own for each name."""
    assert name
    return generate.generate_pair(algorithm, None, Curve.P256)


def name(cn: str, **fields: str) -> library.Name:
    return x509_names.subject_name(CertificateAttributes(certificate_subject_cn=cn, **fields))


def issue(
    cn: str,
    issuer: tuple[str, library.Certificate] | None = None,
    text: bytes = b"",
    *,
    now: int = NOW,
    days: int = 100,
) -> library.Certificate:
    """Issue a certificate for the key of that name, by the key of the issuer's name."""
    signer = x509.Issuer(key(issuer[0]), issuer[1]) if issuer else x509.Issuer(key(cn))
    subject = x509.Subject(name(cn), key(cn).public_key())
    return x509.issue(subject, signer, now=now, days=days, extensions=text)


@cache
def root() -> library.Certificate:
    return issue("root", None, CA_TEXT)


@cache
def middle() -> library.Certificate:
    return issue("middle", ("root", root()), CA_TEXT)


@cache
def leaf() -> library.Certificate:
    return issue("leaf", ("middle", middle()), LEAF_TEXT)


def extension(certificate: library.Certificate, kind: type[library.ExtensionType]) -> object:
    return certificate.extensions.get_extension_for_class(kind).value


# --- issuing ---


def test_a_certificate_is_version_3_with_serial_times_and_key_identifiers() -> None:
    made = leaf()
    assert made.version is library.Version.v3
    assert 0 < made.serial_number < 1 << 159
    assert made.not_valid_before_utc.timestamp() == NOW
    assert made.not_valid_after_utc.timestamp() == NOW + 100 * DAY
    assert x509_names.authority_identifier(made) == x509_names.key_identifier(middle())
    assert isinstance(made.signature_hash_algorithm, hashes.SHA256)


def test_serial_numbers_differ_also_for_the_same_key() -> None:
    assert issue("twice").serial_number != issue("twice").serial_number


def test_no_certificate_outlives_its_issuer() -> None:
    made = issue("long", ("root", root()), days=10_000)
    assert made.not_valid_after_utc == root().not_valid_after_utc


@pytest.mark.parametrize("days", [0, -1, 10**6])
def test_an_absurd_validity_is_refused(days: int) -> None:
    with pytest.raises(KmipError, match="days is allowed"):
        issue("days", days=days)


def test_a_certificate_from_an_expired_issuer_is_refused() -> None:
    with pytest.raises(KmipError, match="cannot be certified"):
        issue("late", ("root", root()), now=NOW + 200 * DAY)


def test_a_time_beyond_certificates_is_refused() -> None:
    with pytest.raises(KmipError, match="beyond what certificates can say"):
        issue("never", now=10**15)


@pytest.mark.parametrize("algorithm", [Algorithm.ED25519, Algorithm.ED448, Algorithm.ML_DSA_65])
def test_keys_that_hash_for_themselves_sign_certificates(algorithm: Algorithm) -> None:
    signer = generate.generate_pair(algorithm)
    subject = x509.Subject(name("self"), signer.public_key())
    made = x509.issue(subject, x509.Issuer(signer), now=NOW)
    assert x509_chains.problem([made], NOW) is None


def test_keys_that_cannot_sign_certify_nothing() -> None:
    agreeing = generate.generate_pair(Algorithm.ECDH, None, Curve.CURVE25519)
    subject = x509.Subject(name("x"), agreeing.public_key())
    with pytest.raises(KmipError, match="not supported"):
        x509.issue(subject, x509.Issuer(agreeing), now=NOW)
    hash_based = generate.generate_pair(Algorithm.SLH_DSA_SHA2_128F)
    with pytest.raises(KmipError, match="cannot be certified"):
        x509.issue(
            x509.Subject(name("x"), hash_based.public_key()), x509.Issuer(key("root")), now=NOW
        )


def test_an_issuer_without_key_identifier_is_named_by_its_key() -> None:
    bare = (
        library.CertificateBuilder()
        .subject_name(name("bare"))
        .issuer_name(name("bare"))
        .public_key(key("bare").public_key())  # type: ignore[arg-type]
        .serial_number(1)
        .not_valid_before(x509.moment(NOW))
        .not_valid_after(x509.moment(NOW + DAY))
        .sign(key("bare"), hashes.SHA256())  # type: ignore[arg-type]
    )
    made = issue("under bare", ("bare", bare))
    expected = library.SubjectKeyIdentifier.from_public_key(bare.public_key())
    assert x509_names.authority_identifier(made) == expected.digest
    assert x509_names.key_identifier(bare) is None
    assert x509_names.attributes_of(bare).certificate_subject_uid is None
    crl = x509_crl.make_crl(bare, key("bare"), [], now=NOW, number=1)
    assert crl.is_signature_valid(bare.public_key())  # type: ignore[arg-type]


# --- names ---


def test_names_go_in_and_come_back_empty_fields_left_out() -> None:
    attributes = CertificateAttributes(
        certificate_subject_cn="kmsd",
        certificate_subject_o="Cosmian",
        certificate_subject_ou="",
        certificate_subject_c="FR",
        certificate_subject_st="IDF",
        certificate_subject_l="Paris",
        certificate_subject_email="a@b.c",
        certificate_subject_title="",
    )
    made = x509_names.subject_name(attributes)
    assert made.rfc4514_string().startswith("1.2.840.113549.1.9.1=a@b.c,O=Cosmian,L=Paris")
    subject = x509.Subject(made, key("named").public_key())
    found = x509_names.attributes_of(x509.issue(subject, x509.Issuer(key("root"), root()), now=NOW))
    assert found.certificate_subject_l == "Paris"
    assert found.certificate_subject_ou is None
    assert found.certificate_issuer_cn == "root"
    assert found.certificate_subject_uid is not None


def test_a_country_has_two_letters() -> None:
    with pytest.raises(KmipError, match="the subject's name") as caught:
        name("x", certificate_subject_c="France")
    assert caught.value.reason is ResultReason.INVALID_ATTRIBUTE_VALUE


# --- extensions ---


def test_every_known_extension_is_read_from_its_text() -> None:
    text = b"""
; a comment
[v3_ca]
basicConstraints = critical, CA:TRUE, pathlen:2
keyUsage = digitalSignature, nonRepudiation, keyCertSign   # more
extendedKeyUsage = serverAuth, clientAuth, 1.2.3.4
subjectKeyIdentifier = 01:02:03
authorityKeyIdentifier = keyid:always, issuer
subjectAltName = DNS:a.example, IP:127.0.0.1, email:a@b.c, URI:https://a/, RID:1.2.3, @more
issuerAltName = DNS:ca.example
crlDistributionPoints = URI:http://a/crl, URI:http://b/crl
nameConstraints = permitted;DNS:.example, excluded;IP:10.0.0.0/8
certificatePolicies = 1.2.3.4
[more]
DNS.1 = b.example
DNS.2 = c.example
"""
    made = issue("full", ("root", root()), text)
    basic = made.extensions.get_extension_for_class(library.BasicConstraints)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 2)
    usage = made.extensions.get_extension_for_class(library.KeyUsage).value
    assert usage.digital_signature
    assert usage.content_commitment
    assert not usage.crl_sign
    names = made.extensions.get_extension_for_class(library.SubjectAlternativeName).value
    assert names.get_values_for_type(library.DNSName) == ["a.example", "b.example", "c.example"]
    assert str(names.get_values_for_type(library.IPAddress)[0]) == "127.0.0.1"
    assert x509_names.key_identifier(made) == b"\x01\x02\x03"
    assert x509_crl.distribution_points(made) == ["http://a/crl", "http://b/crl"]
    assert extension(made, library.NameConstraints)
    assert extension(made, library.CertificatePolicies)
    assert extension(made, library.ExtendedKeyUsage)
    assert extension(made, library.IssuerAlternativeName)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"netscapeComment=hi", "'netscapeComment' is not supported"),
        (b"keyUsage=flying", "keyUsage has a bad value"),
        (b"basicConstraints=CA:perhaps", "basicConstraints has a bad value"),
        (b"basicConstraints=pathlen:1", "basicConstraints has a bad value"),
        (b"basicConstraints=CA:true,pathlen:x", "basicConstraints has a bad value"),
        (b"subjectAltName=FTP:a", "subjectAltName has a bad value"),
        (b"subjectAltName=DNS:", "subjectAltName has a bad value"),
        (b"subjectAltName=IP:300.1.1.1", "subjectAltName has a bad value"),
        (b"subjectAltName=@nowhere", "subjectAltName has a bad value"),
        (b"authorityKeyIdentifier=dirname", "authorityKeyIdentifier has a bad value"),
        (b"nameConstraints=maybe;DNS:a", "nameConstraints has a bad value"),
        (b"extendedKeyUsage=x.y", "extendedKeyUsage has a bad value"),
        (b"what is this", "not lines of key = value"),
        (b"#" * 70_000, "too long"),
    ],
)
def test_a_bad_extension_is_refused_by_name(text: bytes, words: str) -> None:
    with pytest.raises(KmipError, match=words):
        issue("bad", None, b"[v3_ca]\n" + text)


def test_a_requested_extension_wins_over_an_inherited_one() -> None:
    old = issue("renewed", ("root", root()), b"[v3_ca]\nsubjectAltName=DNS:old\nkeyUsage=crlSign")
    renewed = x509.issue(
        x509.renewal(old),
        x509.Issuer(key("root"), root()),
        now=NOW + DAY,
        extensions=b"[v3_ca]\nsubjectAltName=DNS:new",
    )
    names = renewed.extensions.get_extension_for_class(library.SubjectAlternativeName).value
    assert names.get_values_for_type(library.DNSName) == ["new"]
    assert extension(renewed, library.KeyUsage)
    assert renewed.subject == old.subject
    assert renewed.serial_number != old.serial_number


# --- requests ---


def test_a_request_gives_its_name_key_and_extensions() -> None:
    builder = (
        library.CertificateSigningRequestBuilder()
        .subject_name(name("requested"))
        .add_extension(library.SubjectAlternativeName([library.DNSName("r.example")]), False)
    )
    request = x509.sign_with(builder, key("requested"))
    for encoding in (serialization.Encoding.DER, serialization.Encoding.PEM):
        subject = x509.load_request(request.public_bytes(encoding))
        assert subject.name == name("requested")
        assert subject.key == key("requested").public_key()
        made = x509.issue(subject, x509.Issuer(key("root"), root()), now=NOW)
        assert extension(made, library.SubjectAlternativeName)


def test_a_request_not_signed_by_its_own_key_is_refused() -> None:
    der = x509.make_request(key("requested"), name("requested"))
    for bad in (der[:-1] + bytes((der[-1] ^ 1,)), b"garbage", der[:50]):
        with pytest.raises(KmipError, match="certificate: "):
            x509.load_request(bad)


def test_certificates_load_from_der_and_pem() -> None:
    assert x509.load_certificate(x509.der(leaf())) == leaf()
    assert x509.load_certificate(leaf().public_bytes(serialization.Encoding.PEM)) == leaf()
    assert x509.public_key_of(leaf()) == key("leaf").public_key()
    with pytest.raises(KmipError, match="not a certificate that can be read"):
        x509.load_certificate(b"garbage")


# --- chains ---


def test_a_chain_is_ordered_from_root_to_leaf_and_valid() -> None:
    assert x509_chains.order([leaf(), root(), middle()]) == [root(), middle(), leaf()]
    assert x509_chains.problem([leaf(), root(), middle()], NOW + DAY) is None
    assert x509_chains.problem([issue("alone")], NOW) is None


@pytest.mark.parametrize(
    ("certificates", "now", "words"),
    [
        ([], NOW, "1 to 16 certificates"),
        (["leaf", "root"], NOW, "do not form a chain"),
        (["leaf"], NOW, "do not form a chain"),
        (["root", "other root"], NOW, "do not form a chain"),
        (["root"], NOW - DAY, "not valid yet"),
        (["root"], NOW + 101 * DAY, "has expired"),
        (["root", "under forged"], NOW, "a signature in the chain is wrong"),
        (["plain", "under plain"], NOW, "not a certificate authority"),
        (["no ca", "under no ca"], NOW, "not a certificate authority"),
        (["no sign", "under no sign"], NOW, "may not sign certificates"),
        (["short", "under short", "under under short"], NOW, "longer than an issuer allows"),
        (["strange"], NOW, "not understood"),
        (["narrow", "outside"], NOW, "outside an issuer's constraints"),
    ],
)
def test_what_is_wrong_with_a_chain_is_said(certificates: list[str], now: int, words: str) -> None:
    known = chains()
    found = x509_chains.problem([known[each] for each in certificates], now)
    assert found is not None
    assert words in found


@cache
def chains() -> dict[str, library.Certificate]:
    """Certificates by name, good and bad."""
    found = {"root": root(), "leaf": leaf(), "other root": issue("other root", None, CA_TEXT)}
    texts = {
        "plain": b"",
        "no ca": b"[v3_ca]\nbasicConstraints=CA:false",
        "no sign": b"[v3_ca]\nbasicConstraints=CA:true\nkeyUsage=crlSign",
        "short": b"[v3_ca]\nbasicConstraints=CA:true,pathlen:0",
        "narrow": CA_TEXT + b"nameConstraints=critical,permitted;DNS:good.example\n",
    }
    for cn, text in texts.items():
        found[cn] = issue(cn, None, text)
        found[f"under {cn}"] = issue(f"under {cn}", (cn, found[cn]), CA_TEXT)
    found["under under short"] = issue("under under short", ("under short", found["under short"]))
    names = b"[v3_ca]\nsubjectAltName=DNS:evil.example"
    found["outside"] = issue("outside", ("narrow", found["narrow"]), names)
    found["under forged"] = x509.issue(
        x509.Subject(name("under forged"), key("leaf").public_key()),
        x509.Issuer(key("forger"), root()),
        now=NOW,
    )
    builder = (
        library.CertificateBuilder()
        .subject_name(name("strange"))
        .issuer_name(name("strange"))
        .public_key(key("strange").public_key())  # type: ignore[arg-type]
        .serial_number(5)
        .not_valid_before(x509.moment(NOW))
        .not_valid_after(x509.moment(NOW + DAY))
    )
    unknown = library.UnrecognizedExtension(library.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    found["strange"] = x509.sign_with(builder.add_extension(unknown, True), key("strange"))
    return found


@pytest.mark.parametrize(
    ("constraint", "alternative", "allowed"),
    [
        ("permitted;DNS:good.example", "DNS:a.good.example", True),
        ("permitted;DNS:good.example", "DNS:notgood.example", False),
        ("permitted;DNS:good.example", "email:a@b.c", True),
        ("excluded;DNS:bad.example", "DNS:a.bad.example", False),
        ("excluded;DNS:bad.example", "DNS:good.example", True),
        ("permitted;email:b.c", "email:a@b.c", True),
        ("permitted;email:b.c", "email:a@x.b.c", False),
        ("permitted;email:.b.c", "email:a@x.b.c", True),
        ("permitted;email:a@b.c", "email:A@b.c", True),
        ("permitted;email:a@b.c", "email:z@b.c", False),
        ("permitted;IP:10.0.0.0/8", "IP:10.1.2.3", True),
        ("permitted;IP:10.0.0.0/8", "IP:11.1.2.3", False),
        ("permitted;IP:10.0.0.0/8", "IP:::1", False),
        ("permitted;URI:a.example", "URI:https://a.example/", False),
    ],
)
def test_name_constraints_hold(constraint: str, alternative: str, allowed: bool) -> None:  # noqa: FBT001
    authority = issue("narrow", None, CA_TEXT + f"nameConstraints=critical,{constraint}\n".encode())
    under = issue("x", ("narrow", authority), f"[v3_ca]\nsubjectAltName={alternative}\n".encode())
    assert (x509_chains.problem([authority, under], NOW) is None) == allowed


def test_directory_names_and_addresses_in_subjects_are_constrained_too() -> None:
    tree = library.DirectoryName(name("narrow"))
    authority = x509.sign_with(
        library.CertificateBuilder()
        .subject_name(name("narrow"))
        .issuer_name(name("narrow"))
        .public_key(key("narrow").public_key())  # type: ignore[arg-type]
        .serial_number(7)
        .not_valid_before(x509.moment(NOW))
        .not_valid_after(x509.moment(NOW + DAY))
        .add_extension(library.BasicConstraints(True, None), True)
        .add_extension(library.NameConstraints([tree], None), True),
        key("narrow"),
    )
    for cn, expected in (("narrow", True), ("wide", False)):
        subject = x509.Subject(name(cn), key("leaf").public_key())
        under = x509.issue(subject, x509.Issuer(key("narrow"), authority), now=NOW)
        if cn == "narrow":  # same name as its issuer: told apart by its key
            assert x509_names.key_identifier(under) != x509_names.key_identifier(authority)
        assert x509_constraints.violated(authority, under) is not expected


# --- revocation ---


def test_a_revoked_certificate_is_found_in_a_current_list_only() -> None:
    chain = [root(), middle(), leaf()]
    revoked = [x509_crl.Revoked(leaf().serial_number, NOW, Reason.KEY_COMPROMISE)]

    def found(crl: library.CertificateRevocationList | None, now: int = NOW + 1) -> str | None:
        return x509_chains.problem(chain, now, {} if crl is None else {POINT: crl})

    def make(
        issuer: library.Certificate, signer: str, entries: list[x509_crl.Revoked]
    ) -> library.CertificateRevocationList:
        return x509_crl.make_crl(issuer, key(signer), entries, now=NOW, number=3)

    empty, full = make(middle(), "middle", []), make(middle(), "middle", revoked)
    assert x509_chains.problem(chain, NOW) is None
    assert found(empty) is None
    assert found(full) == "a certificate of the chain is revoked"
    missing = "no current revocation list of the issuer is to be had"
    assert found(None) == missing
    assert found(empty, NOW + 8 * DAY) == missing
    assert found(make(root(), "root", [])) == missing
    assert found(make(middle(), "forger", [])) == missing


def test_a_list_says_when_and_why() -> None:
    revoked = [x509_crl.Revoked(5, NOW, Reason.SUPERSEDED), x509_crl.Revoked(6, NOW)]
    made = x509_crl.make_crl(root(), key("root"), revoked, now=NOW, number=9)
    for pem in (False, True):
        crl = x509_crl.load_crl(x509_crl.crl_bytes(made, pem=pem))
        entry = crl.get_revoked_certificate_by_serial_number(5)
        assert entry is not None
        assert entry.revocation_date_utc == dt.datetime.fromtimestamp(NOW, dt.UTC)
        reason = entry.extensions.get_extension_for_class(library.CRLReason).value.reason
        assert reason is library.ReasonFlags.superseded
        other = crl.get_revoked_certificate_by_serial_number(6)
        assert other is not None
        assert not list(other.extensions)
        assert crl.extensions.get_extension_for_class(library.CRLNumber).value.crl_number == 9


def test_garbage_is_no_list() -> None:
    with pytest.raises(KmipError, match="not a revocation list"):
        x509_crl.load_crl(b"garbage")


# --- PKCS#7 ---


def test_a_pkcs7_holds_the_chain_signed_or_not() -> None:
    chain = [leaf(), middle(), root()]
    for signer in (key("leaf"), None):
        assert set(x509.load_pkcs7(x509.pkcs7_of(chain, signer))) == set(chain)
    with pytest.raises(KmipError, match="not a PKCS#7"):
        x509.load_pkcs7(b"garbage")


def test_no_text_means_no_extensions() -> None:
    identifier = library.SubjectKeyIdentifier(b"id")
    assert x509_extensions.parse(b"", x509_extensions.Parties(identifier, identifier)) == []
