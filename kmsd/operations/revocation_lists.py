"""Certificate revocation lists: those that certificates point to, and our own.

A certificate names the places where the list of its issuer is to be had. They are looked up only
for chains that are valid otherwise, a few at a time, in threads of their own kind of patience: a
file, or one request over HTTP, short and bounded. What is read there is only ever taken for a
list, and nothing of it reaches the caller but "revoked" or "not to be had".

Our own lists hold the certificates of an issuer that were revoked here.
"""

import contextlib
import functools
import http.client
import ipaddress
import os
import stat
import time
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from twisted.internet.defer import DeferredSemaphore
from twisted.internet.threads import deferToThread

from kmsd.crypto import x509_crl
from kmsd.kmip import attributes as attribute_rules
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import ObjectType, ResultReason, RevocationReasonCode, State
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import X509CertificateIssuer
from kmsd.operations import issuing, usable
from kmsd.operations.call import Call
from kmsd.store.interfaces import Query, Record

Lists = dict[str, Any]
"""URL of a distribution point → the list that is there."""

_MOST_PLACES = 16
_LARGEST_BYTES = 16 << 20
_SECONDS = 5.0
_PART_BYTES = 1 << 16
_AT_A_TIME = DeferredSemaphore(4)
_FOLLOWED = 3
_DAY_SECONDS = 86_400
_LONGEST_DAYS = 366
_PAGE = 500
_COUNTER = "crl"


async def fetched(certificates: list[Any]) -> Lists:
    """Return the lists that certificates point to, as far as they are to be had."""
    places = dict.fromkeys(
        place for certificate in certificates for place in x509_crl.distribution_points(certificate)
    )
    lists: Lists = {}
    for place in list(places)[:_MOST_PLACES]:
        found = await _AT_A_TIME.run(deferToThread, read, place)
        if found is not None:
            lists[place] = found
    return lists


def read(place: str) -> Any:
    """Return the list at a URL or path, or None; it waits, so run it in a thread."""
    try:
        url = urllib.parse.urlsplit(place)
        reader = _READERS.get(url.scheme.lower())
        data = reader(url) if reader else None
        return None if data is None else x509_crl.load_crl(data)
    except (OSError, ValueError, http.client.HTTPException, KmipError):
        return None


def _file(url: urllib.parse.SplitResult) -> bytes | None:
    """Read a regular file: a pipe or a device would never end."""
    if url.netloc not in {"", "localhost"}:
        return None
    path = Path(urllib.parse.unquote(url.path))
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        data = file.read(_LARGEST_BYTES + 1)
    return None if len(data) > _LARGEST_BYTES else data


def _web(url: urllib.parse.SplitResult) -> bytes | None:
    """Ask for it, following a few redirects from web to web."""
    ends = time.monotonic() + _SECONDS
    for _ in range(_FOLLOWED):
        kind = _CONNECTIONS.get(url.scheme.lower())
        if kind is None:
            return None
        with contextlib.closing(kind(url.hostname or "", url.port, timeout=_SECONDS)) as asked:
            asked.connect()
            if ipaddress.ip_address(asked.sock.getpeername()[0]).is_link_local:
                return None  # where clouds tell secrets to whoever asks
            asked.request("GET", urllib.parse.urlunsplit(("", "", url.path or "/", url.query, "")))
            answer = asked.getresponse()
            if answer.status == http.client.OK:
                return _body(answer, ends)
            location = answer.getheader("Location")
        if location is None:
            return None
        url = urllib.parse.urlsplit(urllib.parse.urljoin(url.geturl(), location))
    return None


def _body(answer: http.client.HTTPResponse, ends: float) -> bytes | None:
    """Read an answer in the time there is, up to the largest size."""
    data = bytearray()
    while time.monotonic() < ends and len(data) <= _LARGEST_BYTES:
        part = answer.read1(_PART_BYTES)
        if not part:
            return bytes(data)
        data += part
    return None


_CONNECTIONS: dict[str, type[http.client.HTTPConnection]] = {
    "http": http.client.HTTPConnection,
    "https": http.client.HTTPSConnection,
}
_READERS: dict[str, Callable[[urllib.parse.SplitResult], bytes | None]] = {
    "": _file,
    "file": _file,
    "http": _web,
    "https": _web,
}


async def generate(call: Call, issuer_uid: str, days: int | None, *, pem: bool) -> bytes:
    """Make the list of the certificates of an issuer that were revoked here.

    The caller must be allowed to have the issuer's key sign.

    Raises:
        KmipError: there is no such issuer for the caller, or its key may not sign lists.
    """
    if days is not None and not 1 <= days <= _LONGEST_DAYS:
        raise KmipError(
            ResultReason.INVALID_FIELD, f"a list is valid for 1 to {_LONGEST_DAYS} days"
        )
    issuer = await issuing.issuer_by_certificate(call, issuer_uid)
    assert issuer.certificate is not None  # noqa: S101 (it was found by its certificate)
    certificate = issuing.loaded(issuer.certificate)
    make = functools.partial(
        x509_crl.make_crl,
        certificate,
        await usable.private_key(call, issuer.key),
        await _revoked(call, certificate),
        now=call.now,
        number=1 + await call.store.reserve(issuer_uid, _COUNTER, 1),
        **({} if days is None else {"life_seconds": days * _DAY_SECONDS}),
    )
    return x509_crl.crl_bytes(await call.offload(make), pem=pem)


async def _revoked(call: Call, issuer: Any) -> list[x509_crl.Revoked]:
    """Return the entries of all revoked certificates, whoever owns them, of an issuer."""
    name = X509CertificateIssuer(issuer_distinguished_name=issuer.subject.public_bytes())
    labels = attribute_rules.labels(Attributes(x509_certificate_issuer=name))
    query = Query(
        labels=tuple((label.name, label.value) for label in labels),
        object_type=ObjectType.CERTIFICATE,
        states=frozenset(State) - {State.PRE_ACTIVE, State.ACTIVE},
        now=call.now,
        limit=_PAGE,
    )
    entries: dict[int, x509_crl.Revoked] = {}
    while True:
        found = (await call.store.find(query)).unique_identifiers
        for record in (await call.store.get_many(found)).values():
            if _is_revoked(record, issuer):
                entry = _entry(call, record)
                entries[entry.serial_number] = entry
        if len(found) < _PAGE:
            return list(entries.values())
        query = msgspec.structs.replace(query, offset=query.offset + _PAGE)


def _is_revoked(record: Record, issuer: Any) -> bool:
    """Tell whether a certificate was revoked and really is the issuer's: names prove nothing."""
    if record.attributes.revocation_reason is None:
        return False
    try:
        issuing.loaded(record).verify_directly_issued_by(issuer)
    except (KmipError, ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _entry(call: Call, record: Record) -> x509_crl.Revoked:
    attributes = record.attributes
    reason = attributes.revocation_reason
    code = reason.revocation_reason_code if reason else RevocationReasonCode.UNSPECIFIED
    return x509_crl.Revoked(
        serial_number=issuing.loaded(record).serial_number,
        at=attributes.compromise_date or attributes.deactivation_date or call.now,
        reason=code,
    )
