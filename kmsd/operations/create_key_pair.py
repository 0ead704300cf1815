"""Create Key Pair (KMIP 2.1 §6.1.9)."""

from typing import NamedTuple

import msgspec

from kmsd.crypto import formats, generate
from kmsd.kmip import attributes as attribute_rules
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import LinkType, RecommendedCurve, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.objects import PrivateKey, PublicKey
from kmsd.kmip.structures import CryptographicDomainParameters, Link, ProtectionStorageMasks
from kmsd.operations import covercrypt, making, wrapping
from kmsd.operations.call import Call
from kmsd.store.interfaces import Insert, Record
from kmsd.ttlv.schema import Structure


class CreateKeyPair(Structure):
    """Request payload."""

    common_attributes: Attributes | None = None
    private_key_attributes: Attributes | None = None
    public_key_attributes: Attributes | None = None
    common_protection_storage_masks: ProtectionStorageMasks | None = None
    private_protection_storage_masks: ProtectionStorageMasks | None = None
    public_protection_storage_masks: ProtectionStorageMasks | None = None


class CreateKeyPairResponse(Structure):
    """Response payload."""

    private_key_unique_identifier: str
    public_key_unique_identifier: str


async def create_key_pair(call: Call, request: CreateKeyPair) -> CreateKeyPairResponse:
    """Make a key pair, link its halves to one another, and store both or none.

    Raises:
        KmipError: the caller may not create, the algorithm, length or curve is not to be had, an
            attribute is wrong, or an identifier asked for is taken.
    """
    await making.may_create(call)
    private = making.checked(
        making.requested(request.common_attributes, request.private_key_attributes)
    )
    public = making.checked(
        making.requested(request.common_attributes, request.public_key_attributes)
    )
    private_uid = making.new_identifier(private.unique_identifier)
    asked = request.public_key_attributes and request.public_key_attributes.unique_identifier
    public_uid = making.new_identifier(asked or f"{private_uid}_pk")
    if private.rotate_name is not None and not (public.rotate_name or "").endswith("_pk"):
        public = msgspec.structs.replace(public, rotate_name=public_uid)
    records = await _pair(call, private_uid, public_uid, private, public)
    await call.store.write(*map(Insert, records))
    return CreateKeyPairResponse(
        private_key_unique_identifier=private_uid, public_key_unique_identifier=public_uid
    )


async def _pair(
    call: Call, private_uid: str, public_uid: str, private: Attributes, public: Attributes
) -> tuple[Record, Record]:
    """Generate the pair and return the records of its halves."""
    public = msgspec.structs.replace(public, sensitive=None)
    public = attribute_rules.without_vendor(public, wrapping.WRAPPING_KEY)
    if covercrypt.is_requested(private):
        records = await covercrypt.master_pair(call, private_uid, public_uid, private, public)
    else:
        records = await _key_pair(call, private_uid, public_uid, private, public)
    return await wrapping.protected(call, records[0]), records[1]


async def _key_pair(
    call: Call, private_uid: str, public_uid: str, private: Attributes, public: Attributes
) -> tuple[Record, Record]:
    pair = await generated(call, private, public)
    return (
        making.new_record(
            call,
            private_uid,
            pair.completed(private, LinkType.PUBLIC_KEY_LINK, public_uid),
            pair.private_key,
        ),
        making.new_record(
            call,
            public_uid,
            pair.completed(public, LinkType.PRIVATE_KEY_LINK, private_uid),
            pair.public_key,
        ),
    )


class Pair(NamedTuple):
    """A new key pair as objects, and its curve."""

    private_key: PrivateKey
    public_key: PublicKey
    curve: RecommendedCurve | None

    def completed(self, attributes: Attributes, link_type: LinkType, other: str) -> Attributes:
        """Add the curve, and the link to the other half."""
        link = Link(link_type=link_type, linked_object_identifier=other)
        domain = attributes.cryptographic_domain_parameters
        if self.curve is not None:
            domain = CryptographicDomainParameters(recommended_curve=self.curve)
        return msgspec.structs.replace(
            attributes, link=(link, *attributes.link), cryptographic_domain_parameters=domain
        )


async def generated(call: Call, private: Attributes, public: Attributes) -> Pair:
    """Make a key pair as the attributes of its halves say, off the reactor thread if that is slow.

    Raises:
        KmipError: the algorithm, length or curve is not to be had.
    """
    algorithm = private.cryptographic_algorithm or public.cryptographic_algorithm
    if algorithm is None:
        raise KmipError(
            ResultReason.INVALID_MESSAGE, "the cryptographic algorithm must be specified"
        )
    domain = private.cryptographic_domain_parameters or public.cryptographic_domain_parameters
    bits = private.cryptographic_length or public.cryptographic_length
    curve = domain.recommended_curve if domain else None
    if generate.is_slow(algorithm, bits):
        key = await call.offload(generate.generate_pair, algorithm, bits, curve)
    else:
        key = generate.generate_pair(algorithm, bits, curve)
    return Pair(
        PrivateKey(key_block=formats.key_block(key, algorithm=algorithm)),
        PublicKey(key_block=formats.key_block(key.public_key(), algorithm=algorithm)),
        formats.describe(key).curve,
    )
