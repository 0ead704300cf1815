"""Certificate chains: order and validity. Source: RFC 5280 §6.1, without policies."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.x509.oid import ExtensionOID

from kmsd.crypto.x509_constraints import violated
from kmsd.crypto.x509_crl import revocation_problem
from kmsd.crypto.x509_names import authority_identifier, key_identifier

_LONGEST = 16
_UNDERSTOOD = {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.ISSUER_ALTERNATIVE_NAME,
    ExtensionOID.NAME_CONSTRAINTS,
    ExtensionOID.CRL_DISTRIBUTION_POINTS,
    ExtensionOID.CERTIFICATE_POLICIES,
    ExtensionOID.SUBJECT_KEY_IDENTIFIER,
    ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
}
"""A critical extension beside these makes a certificate invalid."""


def problem(
    certificates: Sequence[x509.Certificate],
    now: int,
    crls: Mapping[str, x509.CertificateRevocationList] | None = None,
) -> str | None:
    """Say what is wrong with a chain, given in any order, at a time; None: it is valid.

    Args:
        certificates: a root, and what descends from it in one line; or a single self-signed one.
        now: seconds since the epoch.
        crls: lists by the URL of their distribution point; a certificate that names points none of
            which is there is not valid. None: revocation is not looked at.
    """
    if not 1 <= len(certificates) <= _LONGEST:
        return f"a chain of 1 to {_LONGEST} certificates is needed"
    chain = order(certificates)
    if chain is None:
        return "the certificates do not form a chain that begins at a self-signed root"
    return next(_problems(chain, now, crls), None)


def order(certificates: Sequence[x509.Certificate]) -> list[x509.Certificate] | None:
    """Return the chain from its root to its leaf, or None if there is not exactly one."""
    roots = [row for row in certificates if row.subject == row.issuer and _issued(row, row)]
    if len(roots) != 1:
        return None
    chain, rest = [roots[0]], [row for row in certificates if row is not roots[0]]
    while rest:
        following = [row for row in rest if _issued(chain[-1], row)]
        if len(following) != 1:
            return None
        chain.append(following[0])
        rest.remove(following[0])
    return chain


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    """Compare names, and key identifiers where both have one."""
    if issuer.subject != certificate.issuer:
        return False
    wanted, has = authority_identifier(certificate), key_identifier(issuer)
    return wanted is None or has is None or wanted == has


def _problems(
    chain: list[x509.Certificate],
    now: int,
    crls: Mapping[str, x509.CertificateRevocationList] | None,
) -> Iterator[str]:
    for issuer, certificate in pairwise([chain[0], *chain]):
        if not _signed(issuer, certificate):
            yield "a signature in the chain is wrong"
    for certificate in chain:
        yield from _own_problems(certificate, now)
    for below, issuer in enumerate(reversed(chain[:-1])):
        yield from _authority_problems(issuer, below)
    if any(violated(issuer, row) for at, issuer in enumerate(chain) for row in chain[at + 1 :]):
        yield "a name in the chain is outside an issuer's constraints"
    yield from _revocation_problems(chain, now, crls)


def _revocation_problems(
    chain: list[x509.Certificate],
    now: int,
    crls: Mapping[str, x509.CertificateRevocationList] | None,
) -> Iterator[str]:
    if crls is None:
        return
    for issuer, certificate in pairwise(chain):
        found = revocation_problem(certificate, issuer, crls, now)
        if found:
            yield found


def _signed(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _own_problems(certificate: x509.Certificate, now: int) -> Iterator[str]:
    if now < certificate.not_valid_before_utc.timestamp():
        yield "a certificate is not valid yet"
    if now > certificate.not_valid_after_utc.timestamp():
        yield "a certificate has expired"
    try:
        unknown = any(row.critical and row.oid not in _UNDERSTOOD for row in certificate.extensions)
    except (ValueError, x509.DuplicateExtension):
        unknown = True
    if unknown:
        yield "a certificate has a critical extension that is not understood"


def _authority_problems(issuer: x509.Certificate, below: int) -> Iterator[str]:
    """Check that a certificate may issue, with so many authorities below it."""
    try:
        basic = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        yield "an issuer is not a certificate authority"
        return
    if not basic.ca:
        yield "an issuer is not a certificate authority"
    if basic.path_length is not None and below > basic.path_length:
        yield "the chain is longer than an issuer allows"
    try:
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.key_cert_sign:
        yield "an issuer's key may not sign certificates"
