"""Extensions of certificates from OpenSSL's configuration text.

The product's clients send them so, in the vendor attribute `x509-extension`, section `[v3_ca]`:
`keyUsage=critical,keyCertSign,cRLSign`. Source: OpenSSL x509v3_config(5), RFC 5280 §4.2.1.
"""

import ipaddress
from collections.abc import Callable, Iterator
from typing import NamedTuple

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from kmsd.crypto.errors import invalid_certificate

_SECTION = "v3_ca"
_LONGEST = 1 << 16


class Parties(NamedTuple):
    """Whose identifiers the extensions carry."""

    subject: x509.SubjectKeyIdentifier
    issuer: x509.SubjectKeyIdentifier


class Extension(NamedTuple):
    """An extension and whether a reader must understand it."""

    value: x509.ExtensionType
    critical: bool


Sections = dict[str, list[tuple[str, str]]]

_USAGES = {
    "digitalsignature": "digital_signature",
    "nonrepudiation": "content_commitment",
    "contentcommitment": "content_commitment",
    "keyencipherment": "key_encipherment",
    "dataencipherment": "data_encipherment",
    "keyagreement": "key_agreement",
    "keycertsign": "key_cert_sign",
    "crlsign": "crl_sign",
    "encipheronly": "encipher_only",
    "decipheronly": "decipher_only",
}
_PURPOSES = {
    "serverauth": ExtendedKeyUsageOID.SERVER_AUTH,
    "clientauth": ExtendedKeyUsageOID.CLIENT_AUTH,
    "codesigning": ExtendedKeyUsageOID.CODE_SIGNING,
    "emailprotection": ExtendedKeyUsageOID.EMAIL_PROTECTION,
    "timestamping": ExtendedKeyUsageOID.TIME_STAMPING,
    "ocspsigning": ExtendedKeyUsageOID.OCSP_SIGNING,
    "anyextendedkeyusage": ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
}


def parse(text: bytes, parties: Parties) -> list[Extension]:
    """Return the extensions of the section `v3_ca`.

    Raises:
        KmipError: INVALID_ATTRIBUTE_VALUE: an extension or a value that is not known.
    """
    sections = _sections(text)
    extensions = []
    for key, value in sections.get(_SECTION, []):
        builder = _BUILDERS.get(key.lower())
        if builder is None:
            raise invalid_certificate(f"the extension {key!r:.60} is not supported")
        words = [word.strip() for word in value.split(",") if word.strip()]
        critical = words[:1] == ["critical"]
        try:
            made = builder(words[critical:], sections, parties)
        except (ValueError, KeyError, TypeError):
            raise invalid_certificate(f"the extension {key} has a bad value") from None
        extensions.append(Extension(made, critical))
    return extensions


def _sections(text: bytes) -> Sections:
    """Read `[section]` and `key = value` lines; `#` and `;` begin comments."""
    if len(text) > _LONGEST:
        raise invalid_certificate("the extensions are too long")
    sections: Sections = {}
    current = _SECTION
    for raw in text.decode("utf-8", "replace").splitlines():
        line = raw.partition("#")[0].strip()
        if line.startswith("[") and line.endswith("]"):
            current = line[1:-1].strip()
        elif "=" in line and not line.startswith(";"):
            key, _, value = line.partition("=")
            sections.setdefault(current, []).append((key.strip(), value.strip()))
        elif line and not line.startswith(";"):
            raise invalid_certificate("the extensions are not lines of key = value")
    return sections


def _basic_constraints(words: list[str], _: Sections, __: Parties) -> x509.ExtensionType:
    options = dict(word.lower().split(":", 1) for word in words)
    if options.keys() - {"ca", "pathlen"} or options["ca"] not in {"true", "false"}:
        raise ValueError
    length = int(options["pathlen"]) if "pathlen" in options else None
    return x509.BasicConstraints(ca=options["ca"] == "true", path_length=length)


def _key_usage(words: list[str], _: Sections, __: Parties) -> x509.ExtensionType:
    wanted = {_USAGES[word.lower()] for word in words}
    return x509.KeyUsage(**{name: name in wanted for name in _USAGES.values()})


def _extended_key_usage(words: list[str], _: Sections, __: Parties) -> x509.ExtensionType:
    return x509.ExtendedKeyUsage(
        [_PURPOSES.get(word.lower()) or x509.ObjectIdentifier(word) for word in words]
    )


def _subject_key(words: list[str], _: Sections, parties: Parties) -> x509.ExtensionType:
    if words == ["hash"]:
        return parties.subject
    return x509.SubjectKeyIdentifier(bytes.fromhex(words[0].replace(":", "")))


def _authority_key(words: list[str], _: Sections, parties: Parties) -> x509.ExtensionType:
    if {word.partition(":")[0] for word in words} - {"keyid", "issuer"}:
        raise ValueError
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(parties.issuer)


def _subject_alternative(words: list[str], sections: Sections, _: Parties) -> x509.ExtensionType:
    return x509.SubjectAlternativeName(list(_names(words, sections)))


def _issuer_alternative(words: list[str], sections: Sections, _: Parties) -> x509.ExtensionType:
    return x509.IssuerAlternativeName(list(_names(words, sections)))


def _distribution_points(words: list[str], sections: Sections, _: Parties) -> x509.ExtensionType:
    return x509.CRLDistributionPoints(
        [x509.DistributionPoint([name], None, None, None) for name in _names(words, sections)]
    )


def _name_constraints(words: list[str], sections: Sections, _: Parties) -> x509.ExtensionType:
    trees: dict[str, list[x509.GeneralName]] = {"permitted": [], "excluded": []}
    for word in words:
        tree, _separator, name = word.partition(";")
        trees[tree.lower()] += _names([name], sections, network=True)
    return x509.NameConstraints(trees["permitted"] or None, trees["excluded"] or None)


def _policies(words: list[str], _: Sections, __: Parties) -> x509.ExtensionType:
    return x509.CertificatePolicies(
        [x509.PolicyInformation(x509.ObjectIdentifier(word), None) for word in words]
    )


_BUILDERS: dict[str, Callable[[list[str], Sections, Parties], x509.ExtensionType]] = {
    "basicconstraints": _basic_constraints,
    "keyusage": _key_usage,
    "extendedkeyusage": _extended_key_usage,
    "subjectkeyidentifier": _subject_key,
    "authoritykeyidentifier": _authority_key,
    "subjectaltname": _subject_alternative,
    "issueraltname": _issuer_alternative,
    "crldistributionpoints": _distribution_points,
    "nameconstraints": _name_constraints,
    "certificatepolicies": _policies,
}


def _names(
    words: list[str], sections: Sections, *, network: bool = False
) -> Iterator[x509.GeneralName]:
    """Read `DNS:name`, `IP:address` …, or `@section` with a name on each line."""
    for word in words:
        if word.startswith("@"):
            for key, value in sections[word[1:]]:
                yield _name(key.partition(".")[0], value, network=network)
        else:
            kind, _, value = word.partition(":")
            yield _name(kind, value, network=network)


def _name(kind: str, value: str, *, network: bool) -> x509.GeneralName:
    value = value.strip()
    if not value:
        raise ValueError
    if kind.strip().upper() == "IP":
        address = ipaddress.ip_network(value) if network else ipaddress.ip_address(value)
        return x509.IPAddress(address)
    return _NAMES[kind.strip().upper()](value)


_NAMES: dict[str, Callable[[str], x509.GeneralName]] = {
    "DNS": x509.DNSName,
    "EMAIL": x509.RFC822Name,
    "URI": x509.UniformResourceIdentifier,
    "RID": lambda value: x509.RegisteredID(x509.ObjectIdentifier(value)),
}
