"""Re-key Key Pair (KMIP 2.1 §6.1.47)."""

from typing import NamedTuple

import msgspec

from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import LinkType, ObjectType, Operation, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.states import GONE
from kmsd.kmip.structures import ProtectionStorageMasks
from kmsd.operations import (
    covercrypt,
    create_key_pair,
    dependants,
    making,
    rotation,
    wrapping,
)
from kmsd.operations.call import Call
from kmsd.operations.links import linked
from kmsd.operations.wrapping import Replacement
from kmsd.store.interfaces import Insert, Record, Replace
from kmsd.ttlv.schema import Interval, Structure


class ReKeyKeyPair(Structure):
    """Request payload. `offset`: seconds until the new keys become active."""

    private_key_unique_identifier: str | None = None
    offset: Interval | None = None
    common_attributes: Attributes | None = None
    private_key_attributes: Attributes | None = None
    public_key_attributes: Attributes | None = None
    common_protection_storage_masks: ProtectionStorageMasks | None = None
    private_protection_storage_masks: ProtectionStorageMasks | None = None
    public_protection_storage_masks: ProtectionStorageMasks | None = None


class ReKeyKeyPairResponse(Structure):
    """Response payload."""

    private_key_unique_identifier: str
    public_key_unique_identifier: str


class _Halves(NamedTuple):
    private: Record
    public: Record


async def rekey_key_pair(call: Call, request: ReKeyKeyPair) -> ReKeyKeyPairResponse:
    """Replace a key pair by a new one of its kind, and wrap anew what it wraps.

    CoverCrypt master keys are changed in place instead, as the action among the attributes says.

    Raises:
        KmipError: the caller may not create, or the pair is not to be rotated: it was never
            active, is destroyed, or has been replaced in its key set.
    """
    private = call.target
    if covercrypt.is_key(private):
        return await _rekeyed(call, request, private)
    await making.may_create(call)
    rotation.check_rotatable(
        call, Operation.REKEY_KEY_PAIR, private, ResultReason.OPERATION_NOT_SUPPORTED
    )
    public = await _other_half(call, private)
    new = await _successors(call, request, private, public)
    changes = [_retired(call, private, new.private)]
    if public is not None:
        changes.append(_retired(call, public, new.public))
    rewrapped = await _dependants(call, private, public, new)
    await call.store.write(*map(Insert, new), *map(Replace, changes), *rewrapped)
    await rotation.hand_on_grants(call, [(private, new.private)])
    if public is not None:
        await rotation.hand_on_grants(call, [(public, new.public)])
    return ReKeyKeyPairResponse(
        private_key_unique_identifier=new.private.unique_identifier,
        public_key_unique_identifier=new.public.unique_identifier,
    )


async def _rekeyed(call: Call, request: ReKeyKeyPair, private: Record) -> ReKeyKeyPairResponse:
    """Change CoverCrypt master keys in place, and bring their user keys up to date."""
    rotation.check_rotatable(call, Operation.REKEY_KEY_PAIR, private)
    public = await _other_half(call, private)
    if public is None:
        raise KmipError(
            ResultReason.OBJECT_NOT_FOUND,
            f"the public master key of {private.unique_identifier} was not found",
        )
    attributes = making.requested(
        request.common_attributes, request.public_key_attributes, request.private_key_attributes
    )
    changed = await covercrypt.rekeyed(call, covercrypt.Masters(private, public), attributes)
    await call.store.write(*map(Replace, changed))
    return ReKeyKeyPairResponse(
        private_key_unique_identifier=private.unique_identifier,
        public_key_unique_identifier=public.unique_identifier,
    )


async def _other_half(call: Call, private: Record) -> Record | None:
    """Return the public half if it is there; a link that is not mutual makes no pair."""
    uid = linked(private, LinkType.PUBLIC_KEY_LINK)
    public = await call.store.get(uid) if uid else None
    if (
        public is None
        or public.owner != private.owner
        or public.attributes.object_type is not ObjectType.PUBLIC_KEY
        or public.attributes.state in GONE
        or linked(public, LinkType.PRIVATE_KEY_LINK) != private.unique_identifier
    ):
        return None
    return public


async def _successors(
    call: Call, request: ReKeyKeyPair, private: Record, public: Record | None
) -> _Halves:
    """Generate the new pair and return the records of its halves."""
    common = making.checked(request.common_attributes or Attributes())
    private_attributes = making.requested(
        rotation.inherited(call, private, request.offset),
        common,
        making.checked(request.private_key_attributes or Attributes()),
    )
    public_attributes = making.requested(
        rotation.inherited(call, public, request.offset) if public else _public(private_attributes),
        common,
        making.checked(request.public_key_attributes or Attributes()),
    )
    private_uid = rotation.next_identifier(private) or making.new_identifier(
        private_attributes.unique_identifier
    )
    asked = request.public_key_attributes and request.public_key_attributes.unique_identifier
    public_uid = making.new_identifier(asked) if asked else f"{private_uid}_pk"
    pair = await create_key_pair.generated(call, private_attributes, public_attributes)
    new = rotation.successor(
        call,
        private,
        private_uid,
        pair.completed(private_attributes, LinkType.PUBLIC_KEY_LINK, public_uid),
        pair.private_key,
    )
    specification = wrapping.specification(private)
    if specification is not None:
        new = await wrapping.wrapped_as(call, new, specification)
    completed = pair.completed(public_attributes, LinkType.PRIVATE_KEY_LINK, private_uid)
    if public is not None:
        new_public = rotation.successor(call, public, public_uid, completed, pair.public_key)
    else:
        new_public = making.new_record(call, public_uid, completed, pair.public_key)
        new_public = msgspec.structs.replace(new_public, owner=private.owner)
    return _Halves(new, new_public)


def _public(private: Attributes) -> Attributes:
    """Return the attributes of a public key whose predecessor is gone."""
    return Attributes(
        activation_date=private.activation_date,
        cryptographic_algorithm=private.cryptographic_algorithm,
        cryptographic_domain_parameters=private.cryptographic_domain_parameters,
        cryptographic_length=private.cryptographic_length,
    )


def _retired(call: Call, record: Record, new: Record) -> Record:
    return rotation.retired(call, record, new, **rotation.no_longer_latest(record))


async def _dependants(
    call: Call, private: Record, public: Record | None, new: _Halves
) -> list[Replace]:
    """Wrap anew what either half wraps: the private key unwraps, the public one wraps."""
    replacements = {}
    halves = [(private, new.private), *([(public, new.public)] if public else [])]
    for old, successor in halves:
        uid = successor.unique_identifier
        replacements[old.unique_identifier] = Replacement(private, new.public, uid)
    return await dependants.rewrapped(call, replacements)
