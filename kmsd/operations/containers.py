"""PKCS#12 and PKCS#7: private keys and certificates with their chains, in and out of the server.

The password of a PKCS#12 is Secret Data that the key's or certificate's PKCS#12 Password Link
points to. The product's clients put the password itself there, and in a Get in the place of the
wrapping key's identifier; that is understood as well.

Source: KMIP 2.1 §4.39, §6.1.19; the product for the rest.
"""

import functools

import msgspec

from kmsd.crypto import formats, pkcs12, x509
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import (
    CertificateType,
    KeyFormatType,
    LinkType,
    ObjectType,
    Operation,
    ResultReason,
    State,
)
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.kmip.objects import (
    Certificate,
    KeyBlock,
    KeyValue,
    ManagedObject,
    PrivateKey,
    key_block,
    key_material,
)
from kmsd.kmip.structures import KeyWrappingSpecification
from kmsd.operations import importing, issuing, making, usable, wrapping
from kmsd.operations.call import Call
from kmsd.operations.links import linked, linked_by, with_link
from kmsd.operations.target import Target, find, permitted
from kmsd.store.interfaces import Record

PKCS12 = frozenset({KeyFormatType.PKCS12, KeyFormatType.PKCS12_LEGACY})
FORMATS = PKCS12 | {KeyFormatType.PKCS7}
_LONGEST_CHAIN = 16
_ALIAS = "alias"
_GET = frozenset({"get"})
_PASSWORD = Target(
    permit=_GET,
    states=frozenset({State.ACTIVE}),
    types=frozenset({ObjectType.SECRET_DATA}),
    exact=True,
)


def is_pkcs12(managed_object: ManagedObject | None) -> bool:
    """Tell whether a client sent a private key as PKCS#12, to be opened."""
    block = key_block(managed_object)
    return (
        isinstance(managed_object, PrivateKey)
        and block is not None
        and block.key_format_type in PKCS12
        and block.key_wrapping_data is None
    )


async def opened(
    call: Call, private_uid: str | None, leaf_uid: str, attributes: Attributes, sent: ManagedObject
) -> list[Record]:
    """Return the records of what is in a PKCS#12: private key, certificate, its chain.

    Without `private_uid` the key has a new identifier, or `leaf_uid` if there is no certificate.

    Raises:
        KmipError: the password is wrong, or what is in it is no key.
    """
    block = key_block(sent)
    material = key_material(block) if block else None
    password = await _password(call, attributes)
    contents = await call.offload(
        pkcs12.load_pkcs12, material if isinstance(material, bytes) else b"", password
    )
    clean = msgspec.structs.replace(
        attributes,
        key_format_type=None,
        cryptographic_algorithm=None,
        cryptographic_length=None,
        pkcs12_friendly_name=attributes.pkcs12_friendly_name or contents.friendly_name,
        link=tuple(
            link for link in attributes.link if link.link_type is not LinkType.PKCS12_PASSWORD_LINK
        ),
    )
    certificates = list(contents.certificates)
    if private_uid is None:
        private_uid = making.new_identifier(None) if certificates else leaf_uid
    uids = [leaf_uid, *(making.new_identifier(None) for _ in certificates[1:])]
    key_attributes = clean
    if certificates:
        key_attributes = with_link(clean, LinkType.PKCS12_CERTIFICATE_LINK, leaf_uid)
    key = PrivateKey(key_block=formats.key_block(contents.private_key))
    records = [making.new_record(call, private_uid, key_attributes, key, received=True)]
    for place, certificate in enumerate(certificates):
        above = uids[place + 1] if place + 1 < len(uids) else None
        own = with_link(clean, LinkType.PRIVATE_KEY_LINK, private_uid) if place == 0 else clean
        records.append(_certificate(call, uids[place], above, own, x509.der(certificate)))
    return records


def _certificate(
    call: Call, uid: str, above: str | None, attributes: Attributes, der: bytes
) -> Record:
    """Return the record of a certificate, linked to the one above it or, at the root, to itself."""
    certificate = Certificate(certificate_type=CertificateType.X509, certificate_value=der)
    parsed = x509.load_certificate(der)
    if above is None and parsed.issuer == parsed.subject:
        above = uid
    described = msgspec.structs.replace(
        attributes, unique_identifier=None, cryptographic_usage_mask=None, rotate_name=None
    )
    if above is not None:
        described = with_link(described, LinkType.CERTIFICATE_LINK, above)
    return making.new_record(
        call, uid, importing.certified(certificate, described), certificate, received=True
    )


async def _password(call: Call, attributes: Attributes) -> bytes:
    """Return the password that the link points to, or is.

    Raises:
        KmipError: BAD_PASSWORD, by the book: there is no link to active Secret Data.
    """
    named = linked_by(attributes, LinkType.PKCS12_PASSWORD_LINK)
    if named:
        try:
            (record,) = await find(call, Operation.GET, _PASSWORD, named)
        except KmipError:
            record = None
        if record is not None:
            block = key_block(await wrapping.clear(call, record))
            assert block is not None  # noqa: S101 (Secret Data has one)
            return formats.load_symmetric(block)
    if call.generation is Generation.KMIP:
        raise KmipError(
            ResultReason.BAD_PASSWORD,
            "a PKCS#12 needs a PKCS#12 Password Link to active Secret Data",
        )
    return (named or "").encode()


async def exported(
    call: Call,
    record: Record,
    wanted: KeyFormatType,
    specification: KeyWrappingSpecification | None,
) -> ManagedObject:
    """Return a private key or certificate, with its chain, in a container.

    Raises:
        KmipError: the private key or the chain is not there for the caller, or is sensitive.
    """
    if wanted is KeyFormatType.PKCS7:
        return await _pkcs7(call, record)
    private, leaf = await _private_and_leaf(call, record)
    _check_secrecy(private)
    chain = [issuing.loaded(each) for each in await _chain(call, leaf)]
    key = await usable.private_key(call, private)
    name = private.attributes.pkcs12_friendly_name
    make = functools.partial(
        pkcs12.pkcs12_of,
        key,
        chain,
        await _chosen_password(call, record, specification),
        name=name or (_ALIAS if call.generation is Generation.KMIP else None),
        legacy=wanted is KeyFormatType.PKCS12_LEGACY,
    )
    return PrivateKey(
        key_block=KeyBlock(
            key_format_type=wanted,
            key_value=KeyValue(key_material=await call.offload(make)),
            cryptographic_algorithm=private.attributes.cryptographic_algorithm,
            cryptographic_length=private.attributes.cryptographic_length,
        )
    )


def _check_secrecy(private: Record) -> None:
    """A password is known to whoever asks: it protects no key from them."""
    if private.attributes.sensitive or private.attributes.extractable is False:
        raise KmipError(
            ResultReason.SENSITIVE,
            f"{private.unique_identifier} is sensitive: it does not leave the server as PKCS#12",
        )


async def _chosen_password(
    call: Call, record: Record, specification: KeyWrappingSpecification | None
) -> bytes:
    information = specification.encryption_key_information if specification else None
    if information is not None and call.generation is not Generation.KMIP:
        return information.unique_identifier.encode()
    return await _password(call, record.attributes)


async def _private_and_leaf(call: Call, record: Record) -> tuple[Record, Record | None]:
    """Return the private key that goes in, and the certificate for it."""
    if record.attributes.object_type is ObjectType.PRIVATE_KEY:
        halves = await issuing.halves_of(call, record)
        for half in (record, halves.public):
            for link_type in (LinkType.PKCS12_CERTIFICATE_LINK, LinkType.CERTIFICATE_LINK):
                uid = linked(half, link_type) if half else None
                leaf = await _readable(call, uid) if uid else None
                if leaf is not None:
                    return record, leaf
        return record, None
    private = (await issuing.halves_of(call, record)).private
    if (
        record.attributes.object_type is not ObjectType.CERTIFICATE
        or private is None
        or private.managed_object is None
        or not permitted(private, call.caller.name, _GET)
    ):
        raise KmipError(
            ResultReason.KEY_FORMAT_TYPE_NOT_SUPPORTED,
            f"unsupported: {record.unique_identifier} as PKCS12: no private key for it was found",
        )
    return private, record


async def _readable(call: Call, uid: str) -> Record | None:
    """Return a certificate that the caller may have."""
    record = await call.store.get(uid)
    if record is None or not isinstance(record.managed_object, Certificate):
        return None
    return record if permitted(record, call.caller.name, _GET) else None


async def _chain(call: Call, leaf: Record | None) -> list[Record]:
    """Return a certificate and those above it, as far as the links lead."""
    chain: list[Record] = []
    while leaf is not None and len(chain) < _LONGEST_CHAIN and leaf not in chain:
        chain.append(leaf)
        uid = linked(leaf, LinkType.CERTIFICATE_LINK)
        leaf = await _readable(call, uid) if uid else None
    return chain


async def _pkcs7(call: Call, record: Record) -> ManagedObject:
    """Return a certificate and its chain, signed with its key if the caller may use that."""
    chain = [issuing.loaded(each) for each in await _chain(call, record)]
    if not chain:
        raise KmipError(
            ResultReason.KEY_FORMAT_TYPE_NOT_SUPPORTED,
            f"unsupported: {record.unique_identifier} as PKCS7: it is no certificate",
        )
    private = (await issuing.halves_of(call, record)).private
    key = None
    if private is not None and private.managed_object is not None:
        may_sign = permitted(private, call.caller.name, frozenset({"sign", "get"}))
        key = await usable.private_key(call, private) if may_sign else None
    return Certificate(
        certificate_type=CertificateType.PKCS7,
        certificate_value=await call.offload(x509.pkcs7_of, chain, key),
    )
