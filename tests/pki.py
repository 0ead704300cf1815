"""A certification authority for tests: real keys and certificates, made in memory."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

SERVER = ExtendedKeyUsageOID.SERVER_AUTH
CLIENT = ExtendedKeyUsageOID.CLIENT_AUTH

KEYS = {
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}


@dataclass(frozen=True)
class Identity:
    """A key and its certificate."""

    key: Any
    certificate: x509.Certificate

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    def key_pem(self, encryption: KeySerializationEncryption | None = None) -> bytes:
        how: KeySerializationEncryption = encryption or NoEncryption()
        return bytes(self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how))

    def p12(
        self,
        *others: x509.Certificate,
        encryption: KeySerializationEncryption | None = None,
    ) -> bytes:
        how: KeySerializationEncryption = encryption or NoEncryption()
        return pkcs12.serialize_key_and_certificates(
            b"name", self.key, self.certificate, others or None, how
        )

    def write(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Write `name`.crt and `name`.key; return both paths."""
        certificate, key = folder / f"{name}.crt", folder / f"{name}.key"
        certificate.write_bytes(self.pem)
        key.write_bytes(self.key_pem())
        return certificate, key


def subject(common_name: str | None) -> x509.Name:
    names = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "kmsd tests")]
    if common_name is not None:
        names.append(x509.NameAttribute(NameOID.COMMON_NAME, common_name, _validate=False))
    return x509.Name(names)


def authority(name: str = "root", issuer: Identity | None = None, kind: str = "p256") -> Identity:
    """Make a root, or an intermediate when `issuer` is given."""
    return issue(issuer, name, kind=kind, usages=(), is_authority=True, names=())


def issue(  # noqa: PLR0913
    issuer: Identity | None,
    common_name: str | None,
    *,
    kind: str = "p256",
    usages: tuple[x509.ObjectIdentifier, ...] = (SERVER,),
    names: tuple[str, ...] = ("localhost",),
    is_authority: bool = False,
    start: dt.timedelta = dt.timedelta(minutes=-5),
    end: dt.timedelta = dt.timedelta(days=2),
    key: Any = None,
    name: x509.Name | None = None,
) -> Identity:
    """Make a key and a certificate that `issuer` signs, or that signs itself."""
    key = key or KEYS[kind]()
    whole = name or subject(common_name)
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(whole)
        .issuer_name(issuer.certificate.subject if issuer else whole)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + start)
        .not_valid_after(now + end)
        .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if names:
        alternative = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        builder = builder.add_extension(alternative, critical=False)
    signer = issuer.key if issuer else key
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return Identity(key, builder.sign(signer, digest))


def revocation_list(issuer: Identity, *revoked: Identity) -> bytes:
    """Sign a CRL (PEM) that names the given certificates."""
    now = dt.datetime.now(dt.UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now - dt.timedelta(minutes=5))
        .next_update(now + dt.timedelta(days=1))
    )
    for each in revoked:
        builder = builder.add_revoked_certificate(
            x509.RevokedCertificateBuilder()
            .serial_number(each.certificate.serial_number)
            .revocation_date(now)
            .build()
        )
    return builder.sign(issuer.key, hashes.SHA256()).public_bytes(Encoding.PEM)
