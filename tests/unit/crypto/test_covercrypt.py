"""CoverCrypt: the product's layouts, rekeying, policies of every generation, and the fence."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import sys
from functools import cache
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmsd.crypto import covercrypt, covercrypt_layout, covercrypt_policy
from kmsd.crypto.bulk import number, read_bytes
from kmsd.crypto.covercrypt import MasterKeys
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("cloudproof_cover_crypt") is None,
    reason="needs the package cover-crypt (kmsd[covercrypt])",
)
REFUSAL = r"^CRYPTO: decryption failed$"
SPECIFICATION = (
    b'{"Security Level::<": ["Protected", "Confidential", "Top Secret::+"],'
    b' "Department": ["R&D", "HR", "MKG", "FIN"]}'
)
MIDDLE_HR = "Security Level::Confidential && Department::HR"


@cache
def keys() -> MasterKeys:
    return covercrypt.generate_master_keys(SPECIFICATION)


@cache
def user_key(access_policy: str = MIDDLE_HR) -> bytes:
    return covercrypt.generate_user_key(keys().secret, access_policy, SPECIFICATION)


def payload(access_policy: str, plaintext: bytes, metadata: bytes = b"") -> bytes:
    name = access_policy.encode()
    return number(len(name)) + name + number(len(metadata)) + metadata + plaintext


def seal(access_policy: str, plaintext: bytes = b"plain", metadata: bytes = b"") -> bytes:
    return covercrypt.encrypt(
        keys().public, SPECIFICATION, payload(access_policy, plaintext, metadata)
    )


# --- encryption ---


@needs_package
def test_a_user_reads_what_its_policy_covers_and_nothing_else() -> None:
    for level in ("Protected", "Confidential"):
        sealed = seal(f"Security Level::{level} && Department::HR")
        assert covercrypt.decrypt(user_key(), sealed) == b"\0plain"
    for access_policy in (
        "Security Level::Top Secret && Department::HR",
        "Security Level::Protected && Department::FIN",
    ):
        with pytest.raises(KmipError, match=REFUSAL) as caught:
            covercrypt.decrypt(user_key(), seal(access_policy))
        assert caught.value.reason is ResultReason.CRYPTOGRAPHIC_FAILURE


@needs_package
def test_metadata_comes_back_after_its_length_before_the_plaintext() -> None:
    sealed = seal(MIDDLE_HR, b"plain", b"meta" * 50)
    opened = covercrypt.decrypt(user_key(), sealed)
    metadata, at = read_bytes(opened)
    assert (metadata, opened[at:]) == (b"meta" * 50, b"plain")


@needs_package
def test_a_header_without_metadata_ends_in_a_zero_and_the_block_adds_28_bytes() -> None:
    sealed = seal(MIDDLE_HR, b"plain")
    end = covercrypt_layout.header_end(sealed)
    assert sealed[end - 1] == 0
    assert len(sealed) - end == len(b"plain") + 28


@needs_package
def test_the_additional_data_binds_header_and_block() -> None:
    sealed = covercrypt.encrypt(
        keys().public, SPECIFICATION, payload(MIDDLE_HR, b"plain", b"meta"), b"aad"
    )
    assert covercrypt.decrypt(user_key(), sealed, b"aad") == b"\x04metaplain"
    for other in (b"", b"bad"):
        with pytest.raises(KmipError, match=REFUSAL):
            covercrypt.decrypt(user_key(), sealed, other)


@needs_package
def test_we_read_what_the_clients_engine_writes_and_it_reads_ours() -> None:
    engine = importlib.import_module("cloudproof_cover_crypt")
    policy = engine.Policy.from_bytes(covercrypt_policy.to_v2(SPECIFICATION))
    public = engine.MasterPublicKey.from_bytes(keys().public)
    theirs = engine.CoverCrypt().encrypt(policy, MIDDLE_HR, public, b"plain", b"meta", b"aad")
    assert covercrypt.decrypt(user_key(), bytes(theirs), b"aad") == b"\x04metaplain"
    user = engine.UserSecretKey.from_bytes(user_key())
    ours = seal(MIDDLE_HR, b"plain", b"meta")
    assert engine.CoverCrypt().decrypt(user, ours, None) == (b"plain", b"meta")


@needs_package
def test_bulk_items_share_a_header_and_come_back_in_order() -> None:
    items = [b"", b"one", b"two" * 100]
    plain = number(3) + b"".join(number(len(item)) + item for item in items)
    sealed = covercrypt.encrypt_bulk(
        keys().public, SPECIFICATION, payload(MIDDLE_HR, plain, b"m"), b"aad"
    )
    assert covercrypt.decrypt_bulk(user_key(), sealed, b"aad") == b"\x01m" + plain
    first, at = read_bytes(sealed, 1)
    second, _ = read_bytes(sealed, at)
    end = covercrypt_layout.header_end(first)
    assert first[:end] == second[:end]
    with pytest.raises(KmipError, match=REFUSAL):
        covercrypt.decrypt_bulk(user_key(), sealed[:-1], b"aad")


@needs_package
def test_no_bulk_items_make_an_empty_bulk() -> None:
    sealed = covercrypt.encrypt_bulk(keys().public, SPECIFICATION, payload(MIDDLE_HR, b"\0"))
    assert sealed == b"\0"
    assert covercrypt.decrypt_bulk(user_key(), sealed) == b"\0\0"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "lengths do not add up"),
        (b"\x05abc", "lengths do not add up"),
        (b"\x00\x00plain", "must begin with an encryption policy"),
        (b"\x01\xff\x00plain", "not UTF-8"),
        (b"\x04D::a", "lengths do not add up"),
    ],
)
def test_a_payload_that_does_not_parse_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(KmipError, match=words):
        covercrypt.encrypt(b"", b"{}", data)


@needs_package
@pytest.mark.parametrize("plain", [b"", b"\x02\x01a", b"\x01\x01ab", b"\xff\xff\xff\x7f"])
def test_a_bulk_plaintext_that_does_not_parse_is_refused(plain: bytes) -> None:
    with pytest.raises(KmipError, match="lengths do not add up"):
        covercrypt.encrypt_bulk(keys().public, SPECIFICATION, payload(MIDDLE_HR, plain))


@needs_package
def test_every_single_changed_bit_of_a_ciphertext_is_refused() -> None:
    sealed = seal(MIDDLE_HR, b"p", b"m")
    for at in range(len(sealed)):
        for bit in (0, 7):
            changed = sealed[:at] + bytes((sealed[at] ^ 1 << bit,)) + sealed[at + 1 :]
            with pytest.raises(KmipError, match=REFUSAL):
                covercrypt.decrypt(user_key(), changed)


# --- rekeying ---


def act(name: str, argument: object, master: MasterKeys, policy: bytes) -> covercrypt.Rekeyed:
    return covercrypt.rekey(json.dumps({name: argument}).encode(), master, policy)


@needs_package
def test_a_rekey_shuts_old_keys_out_until_refreshed_and_prune_forgets() -> None:
    old = seal(MIDDLE_HR)
    rekeyed = act("RekeyAccessPolicy", "Department::HR", keys(), SPECIFICATION)
    assert rekeyed.refresh_user_keys
    new = covercrypt.encrypt(rekeyed.keys.public, rekeyed.policy, payload(MIDDLE_HR, b"new"))
    with pytest.raises(KmipError, match=REFUSAL):
        covercrypt.decrypt(user_key(), new)
    fresh = covercrypt.refresh_user_key(user_key(), rekeyed.keys.secret)
    assert covercrypt.decrypt(fresh, new) == b"\0new"
    assert covercrypt.decrypt(fresh, old) == b"\0plain"
    pruned = act("PruneAccessPolicy", "Department::HR", rekeyed.keys, rekeyed.policy)
    forgetful = covercrypt.refresh_user_key(fresh, pruned.keys.secret)
    assert covercrypt.decrypt(forgetful, new) == b"\0new"
    with pytest.raises(KmipError, match=REFUSAL):
        covercrypt.decrypt(forgetful, old)


@needs_package
def test_a_refresh_may_drop_old_rights() -> None:
    rekeyed = act("RekeyAccessPolicy", "Department::HR", keys(), SPECIFICATION)
    fresh = covercrypt.refresh_user_key(user_key(), rekeyed.keys.secret, keep_old_rights=False)
    with pytest.raises(KmipError, match=REFUSAL):
        covercrypt.decrypt(fresh, seal(MIDDLE_HR))


@needs_package
def test_attributes_are_added_renamed_disabled_and_removed() -> None:
    added = act("AddAttribute", [["Department::X", "Hybridized"]], keys(), SPECIFICATION)
    assert not added.refresh_user_keys
    reader = covercrypt.generate_user_key(
        added.keys.secret, "Department::X && Security Level::Protected", added.policy
    )
    text = payload("Department::X && Security Level::Protected", b"x")
    sealed = covercrypt.encrypt(added.keys.public, added.policy, text)
    assert covercrypt.decrypt(reader, sealed) == b"\0x"
    renamed = act("RenameAttribute", [["Department::X", "Y"]], added.keys, added.policy)
    assert "Y" in json.loads(renamed.policy)["dimensions"]["Department"]["Unordered"]
    disabled = act("DisableAttribute", ["Department::Y"], renamed.keys, renamed.policy)
    assert not disabled.refresh_user_keys
    with pytest.raises(KmipError, match="does not fit the policy"):
        covercrypt.encrypt(disabled.keys.public, disabled.policy, payload("Department::Y", b"x"))
    assert covercrypt.decrypt(reader, sealed) == b"\0x"
    for name in ("RemoveAttribute", "DeleteAttribute"):
        removed = act(name, ["Department::Y"], disabled.keys, disabled.policy)
        assert removed.refresh_user_keys
        assert b'"Y"' not in removed.policy


@needs_package
@pytest.mark.parametrize(
    "action",
    [
        b"",
        b"[]",
        b"{}",
        b'{"Fly": "away"}',
        b'{"RekeyAccessPolicy": ["a"]}',
        b'{"RemoveAttribute": "Department::HR"}',
        b'{"RekeyAccessPolicy": "No::such"}',
        b'{"AddAttribute": [["Department::HR", "Classic"]]}',
        b'{"AddAttribute": [["Department::New", "Magic"]]}',
        b'{"AddAttribute": [["x"]]}',
        b'{"RemoveAttribute": ["Security Level::Protected"]}',
        b'{"RemoveAttribute": [1]}',
        b'{"RenameAttribute": [["Department::HR"]]}',
        b'{"PruneAccessPolicy": "&&"}',
    ],
)
def test_an_impossible_action_is_an_invalid_attribute_value(action: bytes) -> None:
    with pytest.raises(KmipError) as caught:
        covercrypt.rekey(action, keys(), SPECIFICATION)
    assert caught.value.reason is ResultReason.INVALID_ATTRIBUTE_VALUE


# --- policies ---

ROW = {"encryption_hint": "Classic", "write_status": "EncryptDecrypt"}
V2 = {
    "version": "V2",
    "last_attribute_value": 9,
    "dimensions": {
        "Level": {"Ordered": {"low": {"id": 1, **ROW}, "high": {"id": 4, **ROW}}},
        "Team": {"Unordered": {"z": {"id": 7, **ROW}, "a": {"id": 2, **ROW}}},
    },
}
V2_OF_13 = {
    "version": "V2",
    "last_attribute_value": 9,
    "dimensions": {
        "Level": {
            "order": ["low", "high"],
            "attributes": {
                "high": {"rotation_values": [3, 4], **ROW},
                "low": {"rotation_values": [1], **ROW},
            },
        },
        "Team": {
            "order": None,
            "attributes": {
                "z": {"rotation_values": [7], **ROW},
                "a": {"rotation_values": [2], **ROW},
            },
        },
    },
}
V1 = {
    "version": "V1",
    "last_attribute_value": 9,
    "max_attribute_creations": 100,
    "axes": {
        "Level": {"attribute_names": ["low", "high"], "is_hierarchical": True},
        "Team": {"attribute_names": ["z", "a"], "is_hierarchical": False},
    },
    "attributes": {
        "Level::low": {"values": [1], "encryption_hint": "Classic"},
        "Level::high": {"values": [3, 4], "encryption_hint": "Classic"},
        "Team::z": {"values": [7], "encryption_hint": "Classic"},
        "Team::a": {"values": [2], "encryption_hint": "Classic"},
    },
}
LEGACY = {
    "last_attribute_value": 9,
    "max_attribute_creations": 100,
    "axes": {"Level": [["low", "high"], True], "Team": [["z", "a"], False]},
    "attribute_to_int": {
        "Level::low": [1],
        "Level::high": [3, 4],
        "Team::z": [7],
        "Team::a": [2],
    },
}


@pytest.mark.parametrize("policy", [V2, V2_OF_13, V1, LEGACY])
def test_every_generation_becomes_the_same_v2_in_the_same_order(policy: dict[str, Any]) -> None:
    converted = covercrypt_policy.to_v2(json.dumps(policy).encode())
    assert json.loads(converted) == V2
    assert converted == json.dumps(V2, separators=(",", ":")).encode()
    assert covercrypt_policy.to_v2(converted) == converted


def test_a_specification_marks_order_and_hybrids() -> None:
    converted = json.loads(covercrypt_policy.to_v2(SPECIFICATION))
    level = converted["dimensions"]["Security Level"]["Ordered"]
    assert list(level) == ["Protected", "Confidential", "Top Secret"]
    assert level["Top Secret"]["encryption_hint"] == "Hybridized"
    assert list(converted["dimensions"]["Department"]["Unordered"]) == ["R&D", "HR", "MKG", "FIN"]
    assert converted["last_attribute_value"] == 7


def test_the_old_command_lines_form_is_read() -> None:
    old = {
        "policy": {
            "Level": {"hierarchical": True, "attributes": ["low", "high"]},
            "Team": {"attributes": ["a"]},
        },
        "max-rotations": 100,
    }
    converted = json.loads(covercrypt_policy.to_v2(json.dumps(old).encode()))
    assert list(converted["dimensions"]["Level"]) == ["Ordered"]
    assert list(converted["dimensions"]["Team"]) == ["Unordered"]


def changed(path: list[str], value: object) -> bytes:
    """The V2 policy with one value replaced."""
    policy = json.loads(json.dumps(V2))
    place = policy
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return json.dumps(policy).encode()


LOW = ["dimensions", "Level", "Ordered", "low"]


@pytest.mark.parametrize(
    "policy",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"D": "a"}',
        b'{"D": [1]}',
        b'{"D": ["a", "a"]}',
        b'{"D": [""]}',
        b'{"D": ["a::b"]}',
        b'{"D::x": ["a"]}',
        b'{"D": []}',
        b'{"axes": {"D": [["a"], 1]}, "attribute_to_int": {"D::a": [1]}}',
        b" " * (1 << 21),
        changed([*LOW, "id"], 4),
        changed([*LOW, "id"], 0),
        changed([*LOW, "id"], True),
        changed([*LOW, "id"], 1 << 40),
        changed([*LOW, "id"], "1"),
        changed([*LOW, "encryption_hint"], "Magic"),
        changed([*LOW, "write_status"], "Maybe"),
        changed(["dimensions", "Level"], {"Sorted": {}}),
        changed(["dimensions", "Level"], {}),
        changed(["last_attribute_value"], -1),
        json.dumps({f"D{i}": [f"a{j}" for j in range(20)] for i in range(6)}).encode(),
    ],
)
def test_a_malformed_or_enormous_policy_is_refused_before_the_engine(policy: bytes) -> None:
    with pytest.raises(KmipError) as caught:
        covercrypt_policy.to_v2(policy)
    assert caught.value.reason is ResultReason.INVALID_ATTRIBUTE_VALUE


@pytest.mark.parametrize(
    "expression",
    [
        "D::a",
        "D::a && L::b",
        "(D::a || D::b) && (L::c)",
        "Top Level::Very Secret || D::R&D",
        " || ".join(f"D::a{i}" for i in range(300)),
    ],
)
def test_an_expression_of_reasonable_size_passes(expression: str) -> None:
    covercrypt_policy.check_expression(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "",
        "&&",
        "D::a &&",
        "D::a || || D::b",
        "(D::a",
        "D::a)",
        "()",
        "(" * 40 + "D::a" + ")" * 40,
        "x" * 5000,
        " && ".join(["(D::a || D::b)"] * 30),
        "D::a (D::b)",
    ],
)
def test_an_expression_that_would_explode_or_does_not_parse_is_refused(expression: str) -> None:
    with pytest.raises(KmipError) as caught:
        covercrypt_policy.check_expression(expression)
    assert caught.value.reason is ResultReason.INVALID_ATTRIBUTE_VALUE


@needs_package
@pytest.mark.parametrize("access_policy", ["No::such", "Department", "Department::No"])
def test_an_access_policy_of_unknown_attributes_is_refused(access_policy: str) -> None:
    with pytest.raises(KmipError, match="does not fit the policy"):
        covercrypt.generate_user_key(keys().secret, access_policy, SPECIFICATION)
    with pytest.raises(KmipError, match="does not fit the policy"):
        seal(access_policy)


# --- the fence ---


@needs_package
def test_our_bounds_are_the_engines_layouts_through_all_changes() -> None:
    master, policy = keys(), SPECIFICATION
    for name, argument in (
        ("RekeyAccessPolicy", "Department::HR"),
        ("AddAttribute", [["Department::X", "Hybridized"]]),
        ("DisableAttribute", ["Department::MKG"]),
        ("RekeyAccessPolicy", "Department::HR && Security Level::Top Secret"),
        ("RemoveAttribute", ["Department::X"]),
    ):
        rekeyed = act(name, argument, master, policy)
        master, policy = rekeyed.keys, rekeyed.policy
        covercrypt_layout.check_master_secret_key(master.secret)
        covercrypt_layout.check_master_public_key(master.public)
        covercrypt_layout.check_user_key(covercrypt.refresh_user_key(user_key(), master.secret))


HUGE = [b"\xff\xff\xff\xff\x0f", b"\xff" * 9 + b"\x01", b"\xff\xff\xff\xff\xff\xff\x1f"]


@needs_package
@pytest.mark.parametrize("size", HUGE)
def test_forged_counts_are_refused_before_memory_is_reserved(size: bytes) -> None:
    sealed = seal(MIDDLE_HR)
    with pytest.raises(KmipError, match=REFUSAL):
        covercrypt.decrypt(user_key(), sealed[:80] + size + sealed[81:])
    for check, data, at in (
        (covercrypt_layout.check_master_secret_key, keys().secret, 96),
        (covercrypt_layout.check_master_public_key, keys().public, 64),
        (covercrypt_layout.check_user_key, user_key(), 64),
    ):
        with pytest.raises(KmipError):
            check(data[:at] + size + data[at + 1 :])


@needs_package
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_mutated_input_gives_an_answer_or_a_refusal_and_nothing_worse(
    data: st.DataObject,
) -> None:
    master, sealed = keys(), seal(MIDDLE_HR, b"p", b"m")
    calls: list[Any] = [
        (sealed, lambda x: covercrypt.decrypt(user_key(), x)),
        (user_key(), lambda x: covercrypt.decrypt(x, sealed)),
        (user_key(), lambda x: covercrypt.refresh_user_key(x, master.secret)),
        (
            master.secret,
            lambda x: covercrypt.generate_user_key(x, "Department::HR", SPECIFICATION),
        ),
        (
            master.public,
            lambda x: covercrypt.encrypt(x, SPECIFICATION, payload(MIDDLE_HR, b"")),
        ),
        (
            master.secret,
            lambda x: act(
                "RekeyAccessPolicy", "Department::HR", MasterKeys(x, master.public), SPECIFICATION
            ),
        ),
    ]
    good, call = data.draw(st.sampled_from(calls))
    at = data.draw(st.integers(0, min(len(good), 300)))
    cut = data.draw(st.integers(0, 3))
    splice = data.draw(st.sampled_from([*HUGE, b"", b"\0", b"\1", b"\2"]) | st.binary(max_size=4))
    with contextlib.suppress(KmipError):
        call(good[:at] + splice + good[at + cut :])


@needs_package
def test_a_rust_panic_becomes_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    class PanicException(BaseException):
        pass

    def panic(*_: object) -> None:
        raise PanicException

    engine = ModuleType("engine")
    engine.MasterSecretKey = type("K", (), {"from_bytes": panic})  # type: ignore[attr-defined]
    monkeypatch.setattr(covercrypt, "_engine", lambda: engine)
    with pytest.raises(KmipError, match="not a CoverCrypt key"):
        covercrypt._secret(keys().secret)


@needs_package
def test_an_interrupt_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    del monkeypatch
    with pytest.raises(KeyboardInterrupt):
        covercrypt._call(KmipError(ResultReason.GENERAL_FAILURE, ""), interrupt)


def test_without_the_package_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    covercrypt._engine.cache_clear()
    monkeypatch.setitem(sys.modules, "cloudproof_cover_crypt", None)
    assert not covercrypt.available()
    with pytest.raises(KmipError, match=r"not available: install kmsd\[covercrypt\]") as caught:
        covercrypt.generate_master_keys(SPECIFICATION)
    assert caught.value.reason is ResultReason.FEATURE_NOT_SUPPORTED
    monkeypatch.undo()
    covercrypt._engine.cache_clear()


@needs_package
def test_with_the_package_it_is_available() -> None:
    assert covercrypt.available()
