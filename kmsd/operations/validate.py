"""Validate (KMIP 2.1 §6.1.57)."""

import datetime as dt
from typing import Annotated, Any

from kmsd.crypto import x509, x509_chains
from kmsd.kmip.enums import LinkType, ObjectType, Operation, ResultReason, State, ValidityIndicator
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.kmip.objects import Certificate
from kmsd.operations import issuing, revocation_lists
from kmsd.operations.call import Call
from kmsd.operations.links import linked
from kmsd.operations.target import Target, find, permitted
from kmsd.store.interfaces import Record
from kmsd.ttlv.schema import DateTime, Structure, Tagged

_READABLE = frozenset({"validate", "get"})
_CERTIFICATE = Target(
    permit=_READABLE,
    states=frozenset({State.PRE_ACTIVE, State.ACTIVE, State.DEACTIVATED}),
    types=frozenset({ObjectType.CERTIFICATE}),
    hidden=True,
    exact=True,
)
_ISSUERS = 16
"""How many links to issuers are followed."""

_ASN1_TIMES = {
    len("YYMMDDHHMMZ"): "%y%m%d%H%MZ",
    len("YYMMDDHHMMSSZ"): "%y%m%d%H%M%SZ",
    len("YYYYMMDDHHMMSSZ"): "%Y%m%d%H%M%SZ",
}
"""The forms of ASN.1; two digits of a year mean one from 1969 to 2068."""


class Validate(Structure):
    """Request payload; `validity_time` (the product's) is a time as in ASN.1."""

    certificate: tuple[Certificate | bytes, ...] = ()
    unique_identifier: tuple[str, ...] = ()
    validity_date: DateTime | None = None
    validity_time: Annotated[str | None, Tagged("ValidityTime")] = None


class ValidateResponse(Structure):
    """Response payload."""

    validity_indicator: ValidityIndicator


async def validate(call: Call, request: Validate) -> ValidateResponse:
    """Tell whether certificates form a chain, up to a self-signed root, that is valid at a time.

    Stored issuers that are not among them are added. Revocation is told by the state of stored
    certificates, and by the lists that certificates point to.

    Raises:
        KmipError: there is no certificate, or one cannot be found or read; to the product's 5.x
            clients also, with the reason in words, that the chain is not valid.
    """
    records = [await _record(call, uid) for uid in request.unique_identifier]
    certificates = [issuing.loaded(record) for record in records]
    certificates += [_given(each) for each in request.certificate]
    if not certificates:
        raise KmipError(ResultReason.INVALID_FIELD, "Validate: there is no certificate to validate")
    records += await _issuers(call, records, certificates)
    certificates += [issuing.loaded(each) for each in records[len(request.unique_identifier) :]]
    problem = _revoked(records) or await _problem(call, request, certificates)
    if problem is not None and call.generation is Generation.V5:
        raise KmipError(ResultReason.INVALID_FIELD, f"Certificate error: {problem}")
    return ValidateResponse(
        validity_indicator=ValidityIndicator.INVALID if problem else ValidityIndicator.VALID
    )


async def _record(call: Call, uid: str) -> Record:
    (record,) = await find(call, Operation.VALIDATE, _CERTIFICATE, uid)
    return record


def _given(certificate: Certificate | bytes) -> Any:
    if isinstance(certificate, Certificate):
        certificate = certificate.certificate_value
    return x509.load_certificate(certificate)


async def _issuers(call: Call, records: list[Record], certificates: list[Any]) -> list[Record]:
    """Return the stored issuers of stored certificates that the request left out."""
    known = {x509.der(certificate) for certificate in certificates}
    found: list[Record] = []
    line = list(records)
    while line and len(found) < _ISSUERS:
        record = line.pop()
        uid = linked(record, LinkType.CERTIFICATE_LINK)
        issuer = await call.store.get(uid) if uid not in {None, record.unique_identifier} else None
        if issuer is None or not permitted(issuer, call.caller.name, _READABLE):
            continue
        if isinstance(issuer.managed_object, Certificate):
            value = issuer.managed_object.certificate_value
            if value not in known:
                known.add(value)
                found.append(issuer)
                line.append(issuer)
    return found


def _revoked(records: list[Record]) -> str | None:
    if any(record.attributes.revocation_reason is not None for record in records):
        return "a certificate of the chain is revoked"
    return None


async def _problem(call: Call, request: Validate, certificates: list[Any]) -> str | None:
    """Say what is wrong with the chain: first by itself, then by the lists it points to."""
    at = _time(call, request)
    problem = await call.offload(x509_chains.problem, certificates, at)
    if problem is not None:
        return problem
    lists = await revocation_lists.fetched(certificates)
    return await call.offload(x509_chains.problem, certificates, at, lists)


def _time(call: Call, request: Validate) -> int:
    if request.validity_date is not None:
        return request.validity_date
    if request.validity_time is None:
        return call.now
    form = _ASN1_TIMES.get(len(request.validity_time), "")
    try:
        moment = dt.datetime.strptime(request.validity_time, form).replace(tzinfo=dt.UTC)
    except ValueError:
        raise KmipError(
            ResultReason.INVALID_FIELD, "ValidityTime is no time as in ASN.1: [YY]YYMMDDHHMM[SS]Z"
        ) from None
    return int(moment.timestamp())
