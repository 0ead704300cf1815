"""Certify (KMIP 2.1 §6.1.6)."""

from typing import NamedTuple

import msgspec
from cryptography.x509 import Name

from kmsd.crypto import x509, x509_names
from kmsd.kmip import attributes as attribute_rules
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    CertificateRequestType,
    LinkType,
    ObjectType,
    Operation,
    ResultReason,
    State,
)
from kmsd.kmip.errors import KmipError
from kmsd.kmip.objects import Certificate, CertificateRequest
from kmsd.kmip.states import GONE
from kmsd.kmip.structures import ProtectionStorageMasks
from kmsd.operations import create_key_pair, issuing, making, usable
from kmsd.operations.call import Call
from kmsd.operations.issuing import Halves, Issuer
from kmsd.operations.links import linked, with_link
from kmsd.operations.target import Target, find, permitted
from kmsd.store.interfaces import Change, Insert, Record, Replace
from kmsd.ttlv.schema import Structure

TARGET = Target(
    permit=issuing.PERMIT | {"get"},
    states=frozenset(State) - GONE,
    not_found=ResultReason.ITEM_NOT_FOUND,
    optional=True,
)


class Certify(Structure):
    """Request payload."""

    unique_identifier: str | None = None
    certificate_request_type: CertificateRequestType | None = None
    certificate_request_value: bytes | None = None
    attributes: Attributes | None = None
    protection_storage_masks: ProtectionStorageMasks | None = None


class CertifyResponse(Structure):
    """Response payload."""

    unique_identifier: str


class _Subject(NamedTuple):
    """Who is certified: what stands in the certificate, and what the store has of it.

    `renewed` is the certificate that is issued anew, `made` are keys that are new themselves.
    """

    who: x509.Subject
    halves: Halves = Halves()
    renewed: Record | None = None
    made: tuple[Record, ...] = ()


async def certify(call: Call, request: Certify) -> CertifyResponse:
    """Issue a certificate for a certificate request, a public key, a certificate or a new key pair.

    A certificate is renewed under its own identifier unless the request asks for another.

    Raises:
        KmipError: there is nothing to certify, or no issuer that the caller may use.
    """
    await making.may_create(call)
    attributes = making.checked(request.attributes or Attributes())
    subject = await _subject(call, request, attributes)
    issuer = await issuing.named_issuer(call, attributes) or await _own_issuer(call, subject)
    certificate = await issuing.issued(call, subject.who, issuer, attributes, call.now)
    record = _record(call, attributes, subject, issuer, certificate)
    changes: list[Change] = [Replace(record) if record.version else Insert(record)]
    changes += map(Insert, _linked_to(subject.made, record.unique_identifier))
    changes += map(Replace, issuing.certified_keys(call, subject.halves, record.unique_identifier))
    await call.store.write(*changes)
    return CertifyResponse(unique_identifier=record.unique_identifier)


async def _subject(call: Call, request: Certify, attributes: Attributes) -> _Subject:
    """Find out who is certified, in the product's order: request, object, new key pair."""
    if request.certificate_request_value is not None:
        who = issuing.requested_subject(
            request.certificate_request_type, request.certificate_request_value
        )
        halves = await issuing.halves_of(call, call.target) if call.targets else Halves()
        return _Subject(who, await _of_key(call, halves, who))
    if call.targets:
        return await _stored(call, call.target, attributes)
    if attributes.cryptographic_algorithm is not None:
        return await _new_pair(call, attributes)
    if call.batch.placeholder is not None:
        (record,) = await find(call, Operation.CERTIFY, TARGET, call.batch.placeholder)
        return await _stored(call, record, attributes)
    raise _invalid("it names neither a certificate request, nor a public key, nor a new key pair")


async def _of_key(call: Call, halves: Halves, who: x509.Subject) -> Halves:
    """Refuse stored keys that are not those of the certificate request."""
    if halves.public is None:
        return halves
    if not issuing.same_key(await usable.public_key(call, halves.public), who.key):
        raise _invalid("the certificate request is for another key than the object that it names")
    return halves


async def _stored(call: Call, record: Record, attributes: Attributes) -> _Subject:
    managed_object = record.managed_object
    if isinstance(managed_object, Certificate):
        renewal = x509.renewal(issuing.loaded(record))
        return _Subject(renewal, await issuing.halves_of(call, record), renewed=record)
    if isinstance(managed_object, CertificateRequest):
        return _Subject(
            issuing.requested_subject(
                managed_object.certificate_request_type, managed_object.certificate_request_value
            )
        )
    halves = await issuing.halves_of(call, record)
    kind = record.attributes.object_type
    if kind not in {ObjectType.PUBLIC_KEY, ObjectType.PRIVATE_KEY} or halves.public is None:
        raise _invalid(
            f"{record.unique_identifier} is neither a public key, nor a certificate, nor a"
            " certificate request",
            ResultReason.INVALID_OBJECT_TYPE,
        )
    key = await usable.public_key(call, halves.public)
    return _Subject(x509.Subject(_name(attributes), key), halves)


async def _new_pair(call: Call, attributes: Attributes) -> _Subject:
    """Generate the key pair that is to be certified."""
    name = _name(attributes)
    asked = Attributes(
        cryptographic_algorithm=attributes.cryptographic_algorithm,
        cryptographic_length=attributes.cryptographic_length,
        cryptographic_domain_parameters=attributes.cryptographic_domain_parameters,
        cryptographic_usage_mask=attributes.cryptographic_usage_mask,
        activation_date=call.now,
    )
    private_uid = making.new_identifier(None)
    public_uid = f"{private_uid}_pk"
    pair = await create_key_pair.generated(call, asked, asked)
    private = making.new_record(
        call,
        private_uid,
        pair.completed(asked, LinkType.PUBLIC_KEY_LINK, public_uid),
        pair.private_key,
    )
    public = making.new_record(
        call,
        public_uid,
        pair.completed(asked, LinkType.PRIVATE_KEY_LINK, private_uid),
        pair.public_key,
    )
    key = await usable.public_key(call, public)
    return _Subject(x509.Subject(name, key), Halves(public, private), made=(private, public))


def _name(attributes: Attributes) -> Name:
    if attributes.certificate_attributes is None:
        raise _invalid("the subject's name is missing: set CertificateAttributes")
    return x509_names.subject_name(attributes.certificate_attributes)


async def _own_issuer(call: Call, subject: _Subject) -> Issuer:
    """Return the issuer where none is named: the one that issued before, or the subject itself."""
    if subject.made:
        return Issuer(subject.made[0], None)
    renewed = subject.renewed
    issuer = linked(renewed, LinkType.CERTIFICATE_LINK) if renewed else None
    if renewed is not None and issuer not in {None, renewed.unique_identifier}:
        assert issuer is not None  # noqa: S101 (it is not among None and itself)
        return await issuing.issuer_by_certificate(call, issuer)
    if subject.halves.private is None:
        raise _invalid(
            "no issuer: link to its certificate (CertificateLink) or private key (PrivateKeyLink)"
        )
    return Issuer(await issuing.issuer_key(call, subject.halves.private.unique_identifier), None)


def _record(
    call: Call, attributes: Attributes, subject: _Subject, issuer: Issuer, certificate: Certificate
) -> Record:
    """Return the record of the certificate: a new one, or the renewed one with its new value."""
    renewed = subject.renewed
    own = attributes.unique_identifier or (renewed.unique_identifier if renewed else None)
    if renewed is not None and own == renewed.unique_identifier:
        if not permitted(renewed, call.caller.name, issuing.PERMIT):
            raise KmipError(
                ResultReason.PERMISSION_DENIED,
                f"you may not renew {own} in its place: ask for another UniqueIdentifier",
            )
        uid = renewed.unique_identifier
    else:
        uid = making.new_identifier(own)
    attributes = _with_tags(attributes, renewed)
    described = issuing.described(attributes, uid, certificate, issuer, subject.halves)
    made = making.new_record(call, uid, described, certificate)
    if attributes.activation_date is None:
        active = msgspec.structs.replace(made.attributes, state=State.ACTIVE)
        made = msgspec.structs.replace(made, attributes=active)
    if renewed is None or uid != renewed.unique_identifier:
        return made
    return msgspec.structs.replace(made, owner=renewed.owner, version=renewed.version)


def _with_tags(attributes: Attributes, renewed: Record | None) -> Attributes:
    """Add the tags of the certificate that is renewed."""
    if renewed is None:
        return attributes
    before = making.without_system_tags(renewed.attributes)
    tags = attribute_rules.tags(attributes) | attribute_rules.tags(before)
    names = attributes.name or before.name
    return msgspec.structs.replace(attribute_rules.with_tags(attributes, tags), name=names)


def _linked_to(made: tuple[Record, ...], certificate: str) -> list[Record]:
    return [
        msgspec.structs.replace(
            key,
            attributes=with_link(key.attributes, LinkType.CERTIFICATE_LINK, certificate),
        )
        for key in made
    ]


def _invalid(text: str, reason: ResultReason = ResultReason.INVALID_FIELD) -> KmipError:
    return KmipError(reason, f"Invalid Certify request: {text}")
