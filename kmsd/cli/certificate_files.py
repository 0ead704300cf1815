"""Certificates in files: the product's JSON, PEM, DER, PKCS#12, PKCS#7, lists of authorities."""

from __future__ import annotations

import base64
import os
import re
from typing import Any

from kmsd.cli import keyfiles
from kmsd.cli.errors import CommandFailed
from kmsd.kmip.enums import CertificateType, KeyFormatType
from kmsd.kmip.objects import Certificate, KeyBlock, KeyValue, ManagedObject, PrivateKey

IMPORT_FORMATS = ("json-ttlv", "pem", "der", "chain", "ccadb", "pkcs12")
EXPORT_FORMATS = {
    "json-ttlv": KeyFormatType.X509,
    "pem": KeyFormatType.X509,
    "pkcs12": KeyFormatType.PKCS12,
    "pkcs12-legacy": KeyFormatType.PKCS12_LEGACY,
    "pkcs7": KeyFormatType.PKCS7,
}
MOZILLA = (
    "https://ccadb.my.salesforce-sites.com/mozilla/IncludedRootsPEMTxt?TrustBitsInclude=Websites"
)
"""Mozilla's list of included authorities; CKMS_CCADB_URL names another."""

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)


def read(data: bytes, form: str) -> ManagedObject:
    """Return the object in the bytes of a file. Raises: CommandFailed: it holds none."""
    if form == "json-ttlv":
        return keyfiles.from_json(data)
    if form == "pkcs12":
        return PrivateKey(
            key_block=KeyBlock(
                key_format_type=KeyFormatType.PKCS12, key_value=KeyValue(key_material=data)
            )
        )
    return certificate(der(data))


def certificate(value: bytes) -> Certificate:
    """Return the object of a certificate in DER."""
    return Certificate(certificate_type=CertificateType.X509, certificate_value=value)


def der(data: bytes) -> bytes:
    """Return the one certificate in a file, PEM or DER, in DER. Raises: CommandFailed."""
    if not data.lstrip().startswith(b"-----"):
        return data
    found = pem_certificates(data)
    if len(found) != 1:
        raise CommandFailed(f"the file holds {len(found)} certificates: import it as chain")
    return found[0].certificate_value


def pem_certificates(data: bytes) -> list[Certificate]:
    """Return all certificates in a PEM text, in its order. Raises: CommandFailed: none."""
    found = [certificate(base64.b64decode(match[1])) for match in _PEM.finditer(data)]
    if not found:
        raise CommandFailed("the file holds no PEM certificate")
    return found


def written(managed_object: ManagedObject, form: str) -> bytes:
    """Return an exported certificate as a file holds it. Raises: CommandFailed."""
    if form == "json-ttlv":
        return keyfiles.to_json(managed_object)
    if not isinstance(managed_object, Certificate):
        return keyfiles.material(managed_object)
    label = "PKCS7" if form == "pkcs7" else "CERTIFICATE"
    return keyfiles.pem(managed_object.certificate_value, label)


async def mozilla(reactor: Any) -> bytes:
    """Fetch Mozilla's list of authorities. Raises: ClientError."""
    from kmsd.client import Http

    url = os.environ.get("CKMS_CCADB_URL", MOZILLA)
    http = Http(reactor, url)
    try:
        return await http.request("GET", "")
    finally:
        await http.close()
