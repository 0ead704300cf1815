"""Re-certify (KMIP 2.1 §6.1.45)."""

from typing import Any

from kmsd.crypto import x509
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import CertificateRequestType, LinkType, ObjectType, Operation, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.objects import CertificateRequest
from kmsd.kmip.structures import ProtectionStorageMasks
from kmsd.operations import issuing, making, rotation
from kmsd.operations.call import Call
from kmsd.operations.issuing import Issuer
from kmsd.operations.links import linked
from kmsd.operations.target import Target, find
from kmsd.store.interfaces import Insert, Record, Replace
from kmsd.ttlv.schema import Interval, Structure

TARGET = Target(permit=frozenset({"recertify"}), optional=True)
_DAY_SECONDS = 86_400


class ReCertify(Structure):
    """Request payload. `offset`: seconds until the new certificate becomes active."""

    unique_identifier: str | None = None
    certificate_request_unique_identifier: str | None = None
    certificate_request_type: CertificateRequestType | None = None
    certificate_request_value: bytes | None = None
    offset: Interval | None = None
    attributes: Attributes | None = None
    protection_storage_masks: ProtectionStorageMasks | None = None


class ReCertifyResponse(Structure):
    """Response payload."""

    unique_identifier: str


async def recertify(call: Call, request: ReCertify) -> ReCertifyResponse:
    """Replace a certificate by a new one for the same key, under a new identifier.

    It is issued by who issued the old one unless the request names another issuer, and for as long.

    Raises:
        KmipError: there is no such certificate, or no issuer that the caller may use.
    """
    await making.may_create(call)
    record = await _certificate(call)
    old = issuing.loaded(record)
    attributes = making.checked(request.attributes or Attributes())
    issuer = await issuing.named_issuer(call, attributes) or await _same_issuer(call, record)
    attributes = making.requested(rotation.inherited(call, record, request.offset), attributes)
    certificate = await issuing.issued(
        call,
        await _subject(call, request) or x509.renewal(old),
        issuer,
        attributes,
        attributes.activation_date or call.now,
        _days(old),
    )
    uid = making.new_identifier(attributes.unique_identifier)
    halves = await issuing.halves_of(call, record)
    described = issuing.described(attributes, uid, certificate, issuer, halves)
    new = rotation.successor(call, record, uid, described, certificate)
    keys = issuing.certified_keys(call, halves, uid)
    await call.store.write(
        Insert(new), Replace(rotation.retired(call, record, new)), *map(Replace, keys)
    )
    await rotation.hand_on_grants(call, [(record, new)])
    return ReCertifyResponse(unique_identifier=uid)


async def _certificate(call: Call) -> Record:
    """Return the certificate to renew: the one that is named, or the placeholder's."""
    if not call.targets:
        if call.batch.placeholder is None:
            raise KmipError(
                ResultReason.INVALID_MESSAGE,
                "ReCertify: UniqueIdentifier is missing: name the certificate to renew",
            )
        call.targets = await find(call, Operation.RECERTIFY, TARGET, call.batch.placeholder)
    record = call.target
    if record.attributes.object_type is not ObjectType.CERTIFICATE:
        raise KmipError(
            ResultReason.INVALID_OBJECT_TYPE,
            f"ReCertify: {record.unique_identifier} is no certificate",
        )
    rotation.check_not_gone(call, Operation.RECERTIFY, record)
    return record


async def _subject(call: Call, request: ReCertify) -> x509.Subject | None:
    """Return the subject of the certificate request, if there is one."""
    if request.certificate_request_value is not None:
        return issuing.requested_subject(
            request.certificate_request_type, request.certificate_request_value
        )
    if request.certificate_request_unique_identifier is None:
        return None
    (record,) = await find(
        call,
        Operation.RECERTIFY,
        Target(
            permit=frozenset({"get"}),
            types=frozenset({ObjectType.CERTIFICATE_REQUEST}),
            exact=True,
        ),
        request.certificate_request_unique_identifier,
    )
    managed_object = record.managed_object
    assert isinstance(managed_object, CertificateRequest)  # noqa: S101 (the target's type)
    return issuing.requested_subject(
        managed_object.certificate_request_type, managed_object.certificate_request_value
    )


async def _same_issuer(call: Call, record: Record) -> Issuer:
    """Return who issued a certificate: the one it links to, or its own key."""
    issuer = linked(record, LinkType.CERTIFICATE_LINK)
    if issuer not in {None, record.unique_identifier}:
        assert issuer is not None  # noqa: S101 (it is not among None and itself)
        return await issuing.issuer_by_certificate(call, issuer)
    halves = await issuing.halves_of(call, record)
    old = issuing.loaded(record)
    if halves.private is None or old.issuer != old.subject:
        raise KmipError(
            ResultReason.ITEM_NOT_FOUND,
            f"ReCertify: the issuer of {record.unique_identifier} was not found: link to its"
            " certificate (CertificateLink) or private key (PrivateKeyLink)",
        )
    return Issuer(await issuing.issuer_key(call, halves.private.unique_identifier), None)


def _days(old: Any) -> int:
    """Return for how many days a certificate was made."""
    valid = old.not_valid_after_utc - old.not_valid_before_utc
    return max(1, round(float(valid.total_seconds()) / _DAY_SECONDS))
