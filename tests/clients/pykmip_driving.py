"""What PyKMIP can do, done: run in its own virtual environment, reports JSON (name → failure).

Usage: python -m tests.clients.pykmip_driving PORT CA CERTIFICATE KEY VERSION

Each function that `behaviour` marks is one test; its docstring is what must hold. The first
argument of the marker is the first version of KMIP that the behaviour is for.
"""

from __future__ import annotations

import enum
import importlib
import json
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

enums: Any = importlib.import_module("kmip.core.enums")
core: Any = importlib.import_module("kmip.core.objects")
primitives: Any = importlib.import_module("kmip.core.primitives")
factories: Any = importlib.import_module("kmip.core.factories.attributes")
pie: Any = importlib.import_module("kmip.pie.objects")
client_module: Any = importlib.import_module("kmip.pie.client")
failures: Any = importlib.import_module("kmip.pie.exceptions")
refusals: Any = importlib.import_module("kmip.core.exceptions")

Behaviour = Callable[["Session"], None]
BEHAVIOURS: dict[str, tuple[str, str, Behaviour]] = {}
VERSIONS = ("1.0", "1.1", "1.2", "1.3", "1.4", "2.0")
ENCRYPT, DECRYPT = "ENCRYPT", "DECRYPT"


class Session:
    """An open connection that speaks one version."""

    def __init__(self, client: Any, version: str) -> None:
        """Use `client`."""
        self.client, self.version = client, version
        self.attributes = factories.AttributeFactory()

    @property
    def is_two(self) -> bool:
        """Whether requests have the shape of KMIP 2."""
        return self.version >= "2"

    def masks(self, *names: str) -> list[Any]:
        """Return members of the usage mask."""
        return [enums.CryptographicUsageMask[name] for name in names]

    def aes(self, name: str | None = None, *masks: str, bits: int = 256) -> str:
        """Create an AES key."""
        uid: str = self.client.create(
            enums.CryptographicAlgorithm.AES,
            bits,
            name=name,
            cryptographic_usage_mask=self.masks(*(masks or (ENCRYPT, DECRYPT))),
        )
        return uid

    def attribute(self, kind: str, value: Any, index: int | None = None) -> Any:
        """Make an attribute, for Locate and for changes."""
        return self.attributes.create_attribute(enums.AttributeType[kind], value, index)

    def values(self, uid: str, *names: str) -> list[Any]:
        """Get attributes, as their plain values."""
        _uid, found = self.client.get_attributes(uid, list(names))
        return [getattr(each.attribute_value, "value", each.attribute_value) for each in found]


def behaviour(since: str = "1.0", last: str = "2.0") -> Callable[[Behaviour], Behaviour]:
    """Mark a behaviour and the versions it is for."""

    def mark(function: Behaviour) -> Behaviour:
        BEHAVIOURS[function.__name__] = (since, last, function)
        return function

    return mark


def plain(value: Any) -> Any:
    """Return what a primitive of the client's holds; an enumeration's member is itself."""
    return value if isinstance(value, enum.Enum) else getattr(value, "value", value)


def refused(call: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
    """Return the reason for which the server refuses."""
    try:
        call(*arguments, **options)
    except (failures.KmipOperationFailure, refusals.OperationFailure) as error:
        return error.reason
    raise AssertionError("the server did not refuse")


@behaviour()
def a_key_lives_and_dies(session: Session) -> None:
    """Create, Get, Activate, Revoke, Destroy; then it is not found."""
    client, uid = session.client, session.aes("life")
    assert len(client.get(uid).value) == 32
    assert session.values(uid, "State") == [enums.State.PRE_ACTIVE]
    client.activate(uid)
    assert session.values(uid, "State") == [enums.State.ACTIVE]
    assert refused(client.destroy, uid) is enums.ResultReason.PERMISSION_DENIED
    client.revoke(enums.RevocationReasonCode.CESSATION_OF_OPERATION, uid)
    assert session.values(uid, "State") == [enums.State.DEACTIVATED]
    client.destroy(uid)
    assert refused(client.get, uid) is enums.ResultReason.ITEM_NOT_FOUND


@behaviour()
def keys_of_every_length(session: Session) -> None:
    """AES keys and 3DES keys have the bits that were asked for."""
    for bits in (128, 192, 256):
        assert len(session.client.get(session.aes(bits=bits)).value) * 8 == bits
    uid = session.client.create(enums.CryptographicAlgorithm.TRIPLE_DES, 168)
    assert session.values(uid, "Cryptographic Length") == [168]


@behaviour()
def a_pair_is_linked_and_returned(session: Session) -> None:
    """Create Key Pair makes an RSA pair; both halves are had in PKCS#1."""
    public, private = session.client.create_key_pair(
        enums.CryptographicAlgorithm.RSA,
        2048,
        public_name="public",
        public_usage_mask=session.masks("VERIFY"),
        private_name="private",
        private_usage_mask=session.masks("SIGN"),
    )
    for uid, kind in ((public, "PUBLIC_KEY"), (private, "PRIVATE_KEY")):
        key = session.client.get(uid)
        assert key.object_type is enums.ObjectType[kind]
        assert key.key_format_type is enums.KeyFormatType.PKCS_1
        assert key.cryptographic_length == 2048
        assert session.values(uid, "Cryptographic Usage Mask")


@behaviour()
def what_is_registered_comes_back(session: Session) -> None:
    """Register and Get keep symmetric keys, secrets, opaque objects and split keys as they are."""
    objects = [
        pie.SymmetricKey(enums.CryptographicAlgorithm.AES, 128, bytes(range(16)), name="mine"),
        pie.SecretData(b"open sesame", enums.SecretDataType.PASSWORD, name="password"),
        pie.OpaqueObject(b"\x00\x01whatever", enums.OpaqueDataType.NONE, name="blob"),
    ]
    for each in objects:
        uid = session.client.register(each)
        assert session.client.get(uid).value == each.value


@behaviour()
def locate_finds_by_everything(session: Session) -> None:
    """Locate finds a key by name, type, algorithm, length, state, group, date and all of these."""
    name = f"needle {time.time_ns()}"
    uid, before = session.aes(name, bits=192), int(time.time()) - 60
    by_name = session.attribute("NAME", name)
    others = [
        session.attribute("OBJECT_TYPE", enums.ObjectType.SYMMETRIC_KEY),
        session.attribute("CRYPTOGRAPHIC_ALGORITHM", enums.CryptographicAlgorithm.AES),
        session.attribute("CRYPTOGRAPHIC_LENGTH", 192),
        session.attribute("STATE", enums.State.PRE_ACTIVE),
        session.attribute("UNIQUE_IDENTIFIER", uid),
        session.attribute("CRYPTOGRAPHIC_USAGE_MASK", session.masks(ENCRYPT)),
    ]
    dates = [session.attribute("INITIAL_DATE", when) for when in (before, before + 600)]
    for attributes in ([by_name], *([by_name, each] for each in others), [by_name, *dates]):
        assert session.client.locate(attributes=attributes) == [uid]
    wrong = session.attribute("CRYPTOGRAPHIC_LENGTH", 128)
    assert session.client.locate(attributes=[by_name, wrong]) == []


@behaviour()
def locate_counts(session: Session) -> None:
    """Locate returns no more than Maximum Items."""
    name = f"many {time.time_ns()}"
    made = {session.aes(name) for _ in range(3)}
    by_name = [session.attribute("NAME", name)]
    assert set(session.client.locate(attributes=by_name)) == made
    assert len(session.client.locate(maximum_items=2, attributes=by_name)) == 2


@behaviour("1.3")
def locate_skips(session: Session) -> None:
    """Locate skips Offset Items."""
    name = f"pages {time.time_ns()}"
    made = {session.aes(name) for _ in range(3)}
    by_name = [session.attribute("NAME", name)]
    pages = [
        session.client.locate(maximum_items=1, offset_items=at, attributes=by_name)
        for at in range(4)
    ]
    assert {uid for page in pages for uid in page} == made
    assert pages[3] == []


@behaviour()
def attributes_are_listed(session: Session) -> None:
    """Get Attribute List names what Get Attributes returns, and nothing that came later."""
    uid = session.aes("listed")
    names = session.client.get_attribute_list(uid)
    assert {"Unique Identifier", "Object Type", "State", "Name", "Digest"} <= set(names)
    if not session.is_two:
        late = {"Sensitive": "1.4", "Fresh": "1.1", "Random Number Generator": "1.3"}
        for name, since in late.items():
            assert (name in names) == (session.version >= since), name
    if session.version < "1.3":  # the client cannot read a Random Number Generator
        _uid, attributes = session.client.get_attributes(uid, None)
        assert {each.attribute_name.value for each in attributes} == set(names)


@behaviour(last="1.4")
def attributes_change_by_index(session: Session) -> None:
    """Modify and Delete Attribute mean the value of an index, and answer with the attribute."""
    uid = session.aes("first")
    attribute = session.attribute("NAME", "second", 0)
    _uid, answer = session.client.modify_attribute(uid, attribute=attribute)
    assert answer.attribute_value.name_value.value == "second"
    assert [each.name_value.value for each in session.values(uid, "Name")] == ["second"]
    _uid, answer = session.client.delete_attribute(uid, attribute_name="Name", attribute_index=0)
    assert answer.attribute_value.name_value.value == "second"
    assert session.values(uid, "Name") == []


@behaviour("2.0")
def attributes_change_by_value(session: Session) -> None:
    """Set, Modify and Delete Attribute work in the shape of KMIP 2."""
    uid = session.aes("first")
    session.client.set_attribute(uid, attribute_name="Sensitive", attribute_value=True)
    assert session.values(uid, "Sensitive") == [True]
    make = factories.AttributeValueFactory if hasattr(factories, "AttributeValueFactory") else None
    values = make() if make else session.client.attribute_value_factory
    first, second = (
        values.create_attribute_value(enums.AttributeType.NAME, each) for each in ("first", "other")
    )
    session.client.modify_attribute(
        uid,
        current_attribute=core.CurrentAttribute(attribute=first),
        new_attribute=core.NewAttribute(attribute=second),
    )
    assert [each.name_value.value for each in session.values(uid, "Name")] == ["other"]
    session.client.delete_attribute(uid, current_attribute=core.CurrentAttribute(attribute=second))
    assert session.values(uid, "Name") == []


@behaviour()
def what_the_server_keeps_cannot_be_changed(session: Session) -> None:
    """A read-only attribute is refused."""
    uid = session.aes()
    state = session.attribute("STATE", enums.State.ACTIVE)
    if session.is_two:
        reason = refused(
            session.client.set_attribute,
            uid,
            attribute_name="State",
            attribute_value=enums.State.ACTIVE,
        )
    else:
        reason = refused(session.client.modify_attribute, uid, attribute=state)
    assert reason is enums.ResultReason.PERMISSION_DENIED


@behaviour()
def check_tells_what_is_allowed(session: Session) -> None:
    """Check passes for what the mask allows, and not for what it does not."""
    uid = session.aes()
    assert session.client.check(uid, cryptographic_usage_mask=session.masks(ENCRYPT)) == uid
    try:
        session.client.check(uid, cryptographic_usage_mask=session.masks("SIGN"))
    except (AttributeError, failures.KmipOperationFailure):
        return  # the client trips over a refused Check, which has no payload
    raise AssertionError("the server did not refuse")


@behaviour()
def a_key_is_renewed(session: Session) -> None:
    """Re-key makes another key of the same kind, which gets the name."""
    name = f"renewed {time.time_ns()}"
    uid = session.aes(name)
    session.client.activate(uid)
    new = session.client.rekey(uid)
    assert new != uid
    assert session.client.get(new).value != session.client.get(uid).value
    assert session.client.locate(attributes=[session.attribute("NAME", name)]) == [new]


@behaviour("1.2")
def data_is_encrypted_and_decrypted(session: Session) -> None:
    """Encrypt and Decrypt in CBC give the data back."""
    uid = session.aes()
    session.client.activate(uid)
    parameters = {
        "cryptographic_algorithm": enums.CryptographicAlgorithm.AES,
        "block_cipher_mode": enums.BlockCipherMode.CBC,
        "padding_method": enums.PaddingMethod.PKCS5,
    }
    cipher, nonce = session.client.encrypt(
        b"data", uid=uid, cryptographic_parameters=parameters, iv_counter_nonce=bytes(16)
    )[:2]
    assert cipher != b"data"
    plain = session.client.decrypt(
        cipher, uid=uid, cryptographic_parameters=parameters, iv_counter_nonce=nonce or bytes(16)
    )
    assert plain == b"data"


@behaviour("1.2")
def data_is_signed_and_verified(session: Session) -> None:
    """Sign and Signature Verify agree; another message is told from the signed one."""
    public, private = session.client.create_key_pair(
        enums.CryptographicAlgorithm.RSA,
        2048,
        public_usage_mask=session.masks("VERIFY"),
        private_usage_mask=session.masks("SIGN"),
    )
    session.client.activate(public)
    session.client.activate(private)
    parameters = {
        "padding_method": enums.PaddingMethod.PSS,
        "hashing_algorithm": enums.HashingAlgorithm.SHA_256,
        "cryptographic_algorithm": enums.CryptographicAlgorithm.RSA,
    }
    signature = session.client.sign(b"data", private, parameters)
    check = session.client.signature_verify
    valid = enums.ValidityIndicator.VALID
    assert check(b"data", signature, public, parameters) is valid
    assert check(b"other", signature, public, parameters) is not valid


@behaviour("1.2")
def data_is_authenticated(session: Session) -> None:
    """MAC with an HMAC key."""
    key = pie.SymmetricKey(
        enums.CryptographicAlgorithm.HMAC_SHA256,
        256,
        bytes(32),
        session.masks("MAC_GENERATE", "MAC_VERIFY"),
    )
    uid = session.client.register(key)
    session.client.activate(uid)
    _uid, mac = session.client.mac(b"data", uid, enums.CryptographicAlgorithm.HMAC_SHA256)
    assert len(mac) == 32


@behaviour()
def a_key_is_derived(session: Session) -> None:
    """Derive Key by PBKDF2 and by encryption."""
    secret = pie.SecretData(b"password", enums.SecretDataType.PASSWORD, session.masks("DERIVE_KEY"))
    uid = session.client.register(secret)
    session.client.activate(uid)
    derived = session.client.derive_key(
        enums.ObjectType.SYMMETRIC_KEY,
        [uid],
        enums.DerivationMethod.PBKDF2,
        {
            "cryptographic_parameters": {"hashing_algorithm": enums.HashingAlgorithm.SHA_1},
            "salt": b"salt",
            "iteration_count": 4096,
        },
        cryptographic_length=160,
        cryptographic_algorithm=enums.CryptographicAlgorithm.HMAC_SHA1,
        cryptographic_usage_mask=session.masks("MAC_GENERATE"),
    )
    value = session.client.get(derived).value
    assert value.hex() == "4b007901b765489abead49d926f721d065a429c1"  # RFC 6070


@behaviour()
def a_key_is_wrapped(session: Session) -> None:
    """Get with a Key Wrapping Specification gives the key under another one (RFC 3394)."""
    wrapping = session.client.register(
        pie.SymmetricKey(
            enums.CryptographicAlgorithm.AES,
            128,
            bytes.fromhex("000102030405060708090a0b0c0d0e0f"),
            session.masks("WRAP_KEY"),
        )
    )
    session.client.activate(wrapping)
    wrapped = session.client.register(
        pie.SymmetricKey(
            enums.CryptographicAlgorithm.AES,
            128,
            bytes.fromhex("00112233445566778899aabbccddeeff"),
        )
    )
    found = session.client.get(
        wrapped,
        key_wrapping_specification={
            "wrapping_method": enums.WrappingMethod.ENCRYPT,
            "encryption_key_information": {
                "unique_identifier": wrapping,
                "cryptographic_parameters": {
                    "block_cipher_mode": enums.BlockCipherMode.NIST_KEY_WRAP
                },
            },
            "encoding_option": enums.EncodingOption.NO_ENCODING,
        },
    )
    assert found.value.hex() == "1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5"


@behaviour()
def the_server_tells_of_itself(session: Session) -> None:
    """Query lists the operations and objects of the version."""
    asked = ("OPERATIONS", "OBJECTS", "SERVER_INFORMATION", "APPLICATION_NAMESPACES")
    functions = [enums.QueryFunction[f"QUERY_{each}"] for each in asked]
    answer = session.client.proxy.query(query_functions=functions)
    assert answer.result_status.value is enums.ResultStatus.SUCCESS
    told = set(map(plain, answer.operations))
    assert enums.Operation.CREATE in told
    assert (enums.Operation.ENCRYPT in told) == (session.version >= "1.2")
    kinds = set(map(plain, answer.object_types))
    assert (enums.ObjectType.TEMPLATE in kinds) != session.is_two
    assert plain(answer.vendor_identification)


@behaviour("1.1")
def versions_are_agreed(session: Session) -> None:
    """Discover Versions names what the server speaks."""
    answer = session.client.proxy.discover_versions()
    told = {f"{each.major}.{each.minor}" for each in answer.protocol_versions}
    assert set(VERSIONS) <= told


@behaviour()
def what_is_not_there_is_not_found(session: Session) -> None:
    """Get, Destroy and Activate of an unknown identifier."""
    for call in (session.client.get, session.client.destroy, session.client.activate):
        assert refused(call, "nothing-of-that-name") is enums.ResultReason.ITEM_NOT_FOUND


def main(port: str, ca: str, certificate: str, key: str, version: str) -> None:
    """Do everything, and print what failed."""
    client = client_module.ProxyKmipClient(
        hostname="127.0.0.1",
        port=int(port),
        cert=certificate,
        key=key,
        ca=ca,
        ssl_version="PROTOCOL_SSLv23",
        kmip_version=enums.KMIPVersion[f"KMIP_{version.replace('.', '_')}"],
    )
    report = {}
    with client:
        for name, (since, last, function) in BEHAVIOURS.items():
            if since <= version <= last:
                try:
                    function(Session(client, version))
                except Exception:  # noqa: BLE001 (whatever it is, it is reported)
                    report[name] = traceback.format_exc()
                else:
                    report[name] = ""
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main(*sys.argv[1:])
