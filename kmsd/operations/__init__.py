"""The operations: one file each, and this table, which says all the engine knows of them."""

from kmsd.kmip.enums import CryptographicUsageMask as Mask
from kmsd.kmip.enums import ObjectType, Operation, ResultReason, State
from kmsd.kmip.states import GONE, PROCESSING, PROTECTING
from kmsd.operations import (
    activate,
    add_attribute,
    adjust_attribute,
    archive,
    certify,
    check,
    covercrypt,
    covercrypt_messages,
    create,
    create_key_pair,
    create_split_key,
    decrypt,
    delete_attribute,
    derive_key,
    destroy,
    discover_versions,
    encrypt,
    export,
    get,
    get_attribute_list,
    get_attributes,
    get_usage_allocation,
    import_,
    join_split_key,
    keysets,
    locate,
    log,
    mac,
    mac_verify,
    modify_attribute,
    obtain_lease,
    ping,
    query,
    recertify,
    recover,
    register,
    rekey,
    rekey_key_pair,
    revoke,
    rng_retrieve,
    rng_seed,
    set_attribute,
    sign,
    signature_verify,
    validate,
    verifying,
)
from kmsd.operations import hash as hashing
from kmsd.operations.row import Row
from kmsd.operations.target import Target, grant_name
from kmsd.ttlv.schema import Structure

_ACTIVE_ONLY = frozenset({State.ACTIVE})
_THAT_ENCRYPT = frozenset({ObjectType.SYMMETRIC_KEY, ObjectType.PUBLIC_KEY, ObjectType.CERTIFICATE})
_THAT_DECRYPT = frozenset({ObjectType.SYMMETRIC_KEY, ObjectType.PRIVATE_KEY})
_THAT_VERIFY = frozenset({ObjectType.PUBLIC_KEY, ObjectType.PRIVATE_KEY, ObjectType.CERTIFICATE})
_SECRETS = frozenset({ObjectType.SYMMETRIC_KEY, ObjectType.SECRET_DATA})
_THAT_SPLIT = _SECRETS | {ObjectType.PRIVATE_KEY}
_SOUND = frozenset(State) - GONE - {State.COMPROMISED}


def _permit(*operations: Operation) -> frozenset[str]:
    return frozenset(map(grant_name, operations))


def _reading(operation: Operation) -> frozenset[str]:
    """Whoever may get an object may also read and use it."""
    return _permit(operation, Operation.GET)


_SIGNATURE_VERIFY = Target(
    permit=_reading(Operation.SIGNATURE_VERIFY),
    states=PROCESSING,
    states_4=_ACTIVE_ONLY,
    types=_THAT_VERIFY,
    usage=Mask.VERIFY,
    several=True,
)
_MAC_VERIFY = Target(
    permit=_reading(Operation.MAC_VERIFY),
    states=PROCESSING,
    states_4=_ACTIVE_ONLY,
    types=_SECRETS,
    usage=Mask.MAC_VERIFY,
    several=True,
)

_ROWS = (
    Row(
        Operation.CREATE,
        create.Create,
        create.CreateResponse,
        create.create,
        sets_placeholder=True,
    ),
    Row(
        Operation.CREATE_KEY_PAIR,
        create_key_pair.CreateKeyPair,
        create_key_pair.CreateKeyPairResponse,
        create_key_pair.create_key_pair,
        sets_placeholder=True,
    ),
    Row(
        Operation.REGISTER,
        register.Register,
        register.RegisterResponse,
        register.register,
        sets_placeholder=True,
    ),
    Row(
        Operation.REKEY,
        rekey.ReKey,
        rekey.ReKeyResponse,
        rekey.rekey,
        Target(
            permit=_permit(Operation.REKEY),
            states_4=_ACTIVE_ONLY,
            types=frozenset({ObjectType.SYMMETRIC_KEY}),
        ),
        sets_placeholder=True,
    ),
    Row(
        Operation.DERIVE_KEY,
        derive_key.DeriveKey,
        derive_key.DeriveKeyResponse,
        derive_key.derive_key,
        sets_placeholder=True,
    ),
    Row(
        Operation.CERTIFY,
        certify.Certify,
        certify.CertifyResponse,
        certify.certify,
        certify.TARGET,
        sets_placeholder=True,
    ),
    Row(
        Operation.RECERTIFY,
        recertify.ReCertify,
        recertify.ReCertifyResponse,
        recertify.recertify,
        recertify.TARGET,
        sets_placeholder=True,
    ),
    Row(
        Operation.LOCATE,
        locate.Locate,
        locate.LocateResponse,
        locate.locate,
        sets_placeholder=True,
    ),
    Row(
        Operation.CHECK,
        check.Check,
        check.CheckResponse,
        check.check,
        Target(permit=_reading(Operation.CHECK)),
    ),
    Row(
        Operation.GET,
        get.Get,
        get.GetResponse,
        get.get,
        Target(permit=_permit(Operation.GET), states_4=_ACTIVE_ONLY),
    ),
    Row(
        Operation.GET_ATTRIBUTES,
        get_attributes.GetAttributes,
        get_attributes.GetAttributesResponse,
        get_attributes.get_attributes,
        Target(permit=_reading(Operation.GET_ATTRIBUTES)),
    ),
    Row(
        Operation.GET_ATTRIBUTE_LIST,
        get_attribute_list.GetAttributeList,
        get_attribute_list.GetAttributeListResponse,
        get_attribute_list.get_attribute_list,
        Target(
            permit=_permit(Operation.GET_ATTRIBUTE_LIST, Operation.GET_ATTRIBUTES, Operation.GET)
        ),
    ),
    Row(
        Operation.ADD_ATTRIBUTE,
        add_attribute.AddAttribute,
        add_attribute.AddAttributeResponse,
        add_attribute.add_attribute,
        Target(permit=_permit(Operation.ADD_ATTRIBUTE)),
    ),
    Row(
        Operation.MODIFY_ATTRIBUTE,
        modify_attribute.ModifyAttribute,
        modify_attribute.ModifyAttributeResponse,
        modify_attribute.modify_attribute,
        Target(permit=_permit(Operation.MODIFY_ATTRIBUTE)),
    ),
    Row(
        Operation.DELETE_ATTRIBUTE,
        delete_attribute.DeleteAttribute,
        delete_attribute.DeleteAttributeResponse,
        delete_attribute.delete_attribute,
        Target(permit=_permit(Operation.DELETE_ATTRIBUTE)),
    ),
    Row(
        Operation.OBTAIN_LEASE,
        obtain_lease.ObtainLease,
        obtain_lease.ObtainLeaseResponse,
        obtain_lease.obtain_lease,
        Target(permit=_reading(Operation.OBTAIN_LEASE), states=_SOUND),
    ),
    Row(
        Operation.GET_USAGE_ALLOCATION,
        get_usage_allocation.GetUsageAllocation,
        get_usage_allocation.GetUsageAllocationResponse,
        get_usage_allocation.get_usage_allocation,
        Target(permit=_reading(Operation.GET_USAGE_ALLOCATION), states=PROTECTING),
    ),
    Row(
        Operation.ACTIVATE,
        activate.Activate,
        activate.ActivateResponse,
        activate.activate,
        Target(permit=_permit(Operation.ACTIVATE)),
    ),
    Row(
        Operation.REVOKE,
        revoke.Revoke,
        revoke.RevokeResponse,
        revoke.revoke,
        Target(permit=revoke.PERMIT, not_found=ResultReason.ITEM_NOT_FOUND, several=True),
    ),
    Row(
        Operation.DESTROY,
        destroy.Destroy,
        destroy.DestroyResponse,
        destroy.destroy,
        Target(permit=destroy.PERMIT, not_found=ResultReason.ITEM_NOT_FOUND, several=True),
    ),
    Row(
        Operation.ARCHIVE,
        archive.Archive,
        archive.ArchiveResponse,
        archive.archive,
        Target(permit=_permit(Operation.ARCHIVE)),
    ),
    Row(
        Operation.RECOVER,
        recover.Recover,
        recover.RecoverResponse,
        recover.recover,
        Target(permit=_permit(Operation.RECOVER)),
        sets_placeholder=True,
    ),
    Row(
        Operation.VALIDATE,
        validate.Validate,
        validate.ValidateResponse,
        validate.validate,
    ),
    Row(Operation.QUERY, query.Query, query.QueryResponse, query.query),
    Row(
        Operation.REKEY_KEY_PAIR,
        rekey_key_pair.ReKeyKeyPair,
        rekey_key_pair.ReKeyKeyPairResponse,
        rekey_key_pair.rekey_key_pair,
        Target(
            permit=_permit(Operation.REKEY_KEY_PAIR),
            types=frozenset({ObjectType.PRIVATE_KEY}),
            accepts=covercrypt.can_rekey,
            field="private_key_unique_identifier",
        ),
        sets_placeholder=True,
    ),
    Row(
        Operation.DISCOVER_VERSIONS,
        discover_versions.DiscoverVersions,
        discover_versions.DiscoverVersionsResponse,
        discover_versions.discover_versions,
    ),
    Row(
        Operation.ENCRYPT,
        encrypt.Encrypt,
        encrypt.EncryptResponse,
        covercrypt_messages.encrypt_any,
        Target(
            permit=_reading(Operation.ENCRYPT),
            states=PROTECTING,
            types=_THAT_ENCRYPT,
            usage=Mask.ENCRYPT,
            not_found=ResultReason.ITEM_NOT_FOUND,
        ),
    ),
    Row(
        Operation.DECRYPT,
        decrypt.Decrypt,
        decrypt.DecryptResponse,
        keysets.trying_each(covercrypt_messages.decrypt_any),
        Target(
            permit=_reading(Operation.DECRYPT),
            states=PROCESSING,
            states_4=_ACTIVE_ONLY,
            types=_THAT_DECRYPT,
            accepts=covercrypt.can_decrypt,
            usage=Mask.DECRYPT,
            not_found=ResultReason.ITEM_NOT_FOUND,
        ),
    ),
    Row(
        Operation.SIGN,
        sign.Sign,
        sign.SignResponse,
        sign.sign,
        Target(
            permit=_reading(Operation.SIGN),
            states=PROTECTING,
            types=frozenset({ObjectType.PRIVATE_KEY}),
            usage=Mask.SIGN,
            not_found=ResultReason.ITEM_NOT_FOUND,
        ),
    ),
    Row(
        Operation.SIGNATURE_VERIFY,
        signature_verify.SignatureVerify,
        signature_verify.SignatureVerifyResponse,
        verifying.choosing(
            Operation.SIGNATURE_VERIFY, _SIGNATURE_VERIFY, signature_verify.signature_verify
        ),
        _SIGNATURE_VERIFY,
    ),
    Row(
        Operation.MAC,
        mac.MAC,
        mac.MACResponse,
        mac.mac,
        Target(
            permit=_reading(Operation.MAC),
            states=PROTECTING,
            types=_SECRETS,
            usage=Mask.MAC_GENERATE,
            not_found=ResultReason.ITEM_NOT_FOUND,
        ),
    ),
    Row(
        Operation.MAC_VERIFY,
        mac_verify.MACVerify,
        mac_verify.MACVerifyResponse,
        verifying.choosing(Operation.MAC_VERIFY, _MAC_VERIFY, mac_verify.mac_verify),
        _MAC_VERIFY,
    ),
    Row(
        Operation.RNG_RETRIEVE,
        rng_retrieve.RNGRetrieve,
        rng_retrieve.RNGRetrieveResponse,
        rng_retrieve.rng_retrieve,
    ),
    Row(Operation.RNG_SEED, rng_seed.RNGSeed, rng_seed.RNGSeedResponse, rng_seed.rng_seed),
    Row(Operation.HASH, hashing.Hash, hashing.HashResponse, hashing.hash_),
    Row(
        Operation.CREATE_SPLIT_KEY,
        create_split_key.CreateSplitKey,
        create_split_key.CreateSplitKeyResponse,
        create_split_key.create_split_key,
        Target(permit=_reading(Operation.CREATE_SPLIT_KEY), types=_THAT_SPLIT, optional=True),
    ),
    Row(
        Operation.JOIN_SPLIT_KEY,
        join_split_key.JoinSplitKey,
        join_split_key.JoinSplitKeyResponse,
        join_split_key.join_split_key,
        sets_placeholder=True,
    ),
    Row(
        Operation.IMPORT,
        import_.Import,
        import_.ImportResponse,
        import_.import_,
        sets_placeholder=True,
    ),
    Row(
        Operation.EXPORT,
        export.Export,
        export.ExportResponse,
        export.export,
        Target(permit=_reading(Operation.EXPORT)),
    ),
    Row(Operation.LOG, log.Log, log.LogResponse, log.log),
    Row(
        Operation.ADJUST_ATTRIBUTE,
        adjust_attribute.AdjustAttribute,
        adjust_attribute.AdjustAttributeResponse,
        adjust_attribute.adjust_attribute,
        Target(permit=_permit(Operation.ADJUST_ATTRIBUTE)),
    ),
    Row(
        Operation.SET_ATTRIBUTE,
        set_attribute.SetAttribute,
        set_attribute.SetAttributeResponse,
        set_attribute.set_attribute,
        Target(permit=_permit(Operation.SET_ATTRIBUTE)),
    ),
    Row(Operation.PING, ping.Ping, ping.PingResponse, ping.ping),
)
"""In the order of the Operation enumeration (KMIP 2.1 §11.36)."""

OPERATIONS: tuple[Row, ...] = tuple(map(archive.on_line, _ROWS))

BY_OPERATION: dict[Operation, Row] = {row.operation: row for row in OPERATIONS}

BY_TAG: dict[str, Row] = {row.request.__name__.lower(): row for row in OPERATIONS}
"""Bare operations go by the name of their request, in whatever capitals."""

GRANTABLE: tuple[str, ...] = tuple(sorted(grant_name(row.operation) for row in OPERATIONS))
"""The rights an owner can grant: one for each operation."""

__all__ = ["BY_OPERATION", "BY_TAG", "GRANTABLE", "OPERATIONS", "Row", "Structure"]
