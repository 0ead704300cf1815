"""Encrypt and Decrypt in parts, and the registry of what is under way."""

import dataclasses
from typing import Any

import msgspec
import pytest
import pytest_twisted

from kmsd.kmip.enums import BlockCipherMode, HashingAlgorithm, Operation, ResultReason
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.errors import KmipError
from kmsd.kmip.generations import Generation
from kmsd.kmip.structures import CryptographicParameters
from kmsd.operations import streams
from kmsd.operations.decrypt import Decrypt
from kmsd.operations.destroy import Destroy
from kmsd.operations.encrypt import Encrypt, EncryptResponse
from kmsd.operations.hash import Hash
from kmsd.operations.sign import Sign
from kmsd.operations.streams import Binding, Collected, Streams
from tests.server import NOW, Kms
from tests.using_keys import known, pair, revoke

ensure = pytest_twisted.ensureDeferred
GCM_KEY = bytes.fromhex("feffe9928665731c6d6a8f9467308308")
PLAIN = bytes(range(100))


@pytest.fixture(autouse=True)
def no_streams_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has the process to itself."""
    monkeypatch.setattr(streams, "STREAMS", Streams())


def mode(block_cipher_mode: BlockCipherMode) -> CryptographicParameters:
    return CryptographicParameters(block_cipher_mode=block_cipher_mode)


async def in_parts(kms: Kms, request: Any, *parts: bytes, **of_the_last: Any) -> Any:
    """Carry out `request` over several parts; return the last answer with all data in a row."""
    answer = await kms(_with(request, data=parts[0], init_indicator=True))
    out, value = answer.data, answer.correlation_value
    if isinstance(answer, EncryptResponse) and answer.iv_counter_nonce is not None:
        of_the_last["iv_counter_nonce"] = answer.iv_counter_nonce
    nonce = of_the_last.pop("iv_counter_nonce", None)
    for number, part in enumerate(parts[1:], start=2):
        last = number == len(parts)
        more = of_the_last if last else {}
        answer = await kms(
            _with(
                request,
                data=part,
                correlation_value=value,
                final_indicator=last or None,
                iv_counter_nonce=None,
                authenticated_encryption_additional_data=None,
                **more,
            )
        )
        out += answer.data
        assert answer.correlation_value == (None if last else value)
    answer = _with(answer, data=out)
    return _with(answer, iv_counter_nonce=nonce) if isinstance(answer, EncryptResponse) else answer


def _with(structure: Any, **fields: Any) -> Any:
    return msgspec.structs.replace(structure, **fields)


@pytest.mark.parametrize(
    ("algorithm", "parameters", "size"),
    [
        (Algorithm.AES, mode(BlockCipherMode.GCM), 32),
        (Algorithm.AES, mode(BlockCipherMode.CBC), 32),
        (Algorithm.AES, mode(BlockCipherMode.GCM_SIV), 32),
        (Algorithm.CHACHA20_POLY1305, None, 32),
    ],
    ids=["GCM", "CBC", "GCM-SIV", "ChaCha20-Poly1305"],
)
@ensure  # type: ignore[untyped-decorator]
async def test_parts_encrypt_to_what_decrypts_as_a_whole_and_in_parts(
    kms: Kms, algorithm: Algorithm, parameters: CryptographicParameters | None, size: int
) -> None:
    """However the message is cut, its ciphertext is one message's."""
    await known(kms, bytes(range(size)), algorithm)
    encrypt = Encrypt(unique_identifier="k", cryptographic_parameters=parameters)
    made = await in_parts(kms, encrypt, PLAIN[:7], PLAIN[7:60], PLAIN[60:])
    nonce, tag = made.iv_counter_nonce, made.authenticated_encryption_tag
    decrypt = Decrypt(
        unique_identifier="k", cryptographic_parameters=parameters, iv_counter_nonce=nonce
    )
    whole = await kms(_with(decrypt, data=made.data, authenticated_encryption_tag=tag))
    assert whole.data == PLAIN
    cut = made.data[:50], made.data[50:]
    assert (await in_parts(kms, decrypt, *cut, authenticated_encryption_tag=tag)).data == PLAIN
    with_first = _with(decrypt, authenticated_encryption_tag=tag)
    assert (await in_parts(kms, with_first, *cut)).data == PLAIN
    assert len(streams.STREAMS) == 0


@ensure  # type: ignore[untyped-decorator]
async def test_additional_data_is_authenticated_with_the_parts(kms: Kms) -> None:
    """It comes with the first part; the parts give the very bytes of OASIS CS-BC-M-GCM-3-21."""
    await known(kms, GCM_KEY)
    aad = bytes.fromhex("feedfacedeadbeeffeedfacedeadbeefabaddad2")
    made = await in_parts(
        kms,
        Encrypt(
            unique_identifier="k",
            iv_counter_nonce=bytes.fromhex("cafebabefacedbad"),
            authenticated_encryption_additional_data=aad,
        ),
        bytes.fromhex("d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"),
        bytes.fromhex("1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39"),
    )
    assert made.data.hex() == (
        "61353b4c2806934a777ff51fa22a4755699b2a714fcdc6f83766e5f97b6c7423"
        "73806900e49f24b22b097544d4896b424989b5e1ebac0f07c23f4598"
    )
    assert made.authenticated_encryption_tag.hex() == "3612d2e79e3b0785561be14aaca2fccb"
    assert made.iv_counter_nonce is None


@ensure  # type: ignore[untyped-decorator]
async def test_nothing_is_released_of_a_message_with_a_wrong_tag(kms: Kms) -> None:
    """An authenticated decryption in parts gives all of it at the end, or nothing."""
    await known(kms, GCM_KEY)
    made = await kms(Encrypt(unique_identifier="k", data=PLAIN))
    first = await kms(
        Decrypt(
            unique_identifier="k",
            data=made.data,
            iv_counter_nonce=made.iv_counter_nonce,
            init_indicator=True,
        )
    )
    assert first.data == b""
    last = Decrypt(
        unique_identifier="k",
        data=b"",
        correlation_value=first.correlation_value,
        authenticated_encryption_tag=bytes(16),
        final_indicator=True,
    )
    assert (await kms.refused(last)).reason is ResultReason.CRYPTOGRAPHIC_FAILURE
    again = await kms.refused(last)
    assert again.reason is ResultReason.INVALID_CORRELATION_VALUE


async def begun(kms: Kms, uid: str = "k") -> bytes:
    """Begin an encryption and return its Correlation Value."""
    answer = await kms(Encrypt(unique_identifier=uid, data=b"1", init_indicator=True))
    assert isinstance(answer.correlation_value, bytes)
    return answer.correlation_value


def more(value: bytes, uid: str = "k") -> Encrypt:
    return Encrypt(unique_identifier=uid, data=b"2", correlation_value=value)


@ensure  # type: ignore[untyped-decorator]
async def test_a_stream_ends_when_its_key_is_revoked(kms: Kms) -> None:
    """Every part asks anew whether the key may be used."""
    await known(kms, GCM_KEY)
    value = await begun(kms)
    await kms(more(value))
    await revoke(kms, "k")
    refused = await kms.refused(more(value))
    assert refused.reason is ResultReason.WRONG_KEY_LIFECYCLE_STATE
    await kms(Destroy(unique_identifier="k"))
    assert (await kms.refused(more(value))).reason is ResultReason.OBJECT_DESTROYED


@ensure  # type: ignore[untyped-decorator]
async def test_a_stream_belongs_to_its_caller_operation_and_key(kms: Kms) -> None:
    """Whoever else learns of the value can do nothing with it, and does not end the stream."""
    await known(kms, GCM_KEY)
    await known(kms, GCM_KEY, uid="same")
    await known(kms, bytes(16), uid="other")
    await kms.store.grant("k", "bob", frozenset({"encrypt"}))
    value = await begun(kms)
    reason = ResultReason.INVALID_CORRELATION_VALUE
    assert (await kms.by("bob").refused(more(value))).reason is reason
    assert (await kms.refused(more(value, "same"))).reason is reason
    assert (await kms.refused(more(value, "other"))).reason is reason
    decrypt = Decrypt(unique_identifier="k", data=b"", correlation_value=value)
    assert (await kms.refused(decrypt)).reason is reason
    assert (await kms(more(value))).correlation_value == value


@ensure  # type: ignore[untyped-decorator]
async def test_a_stream_waits_ten_minutes_for_its_next_part(kms: Kms) -> None:
    """Each part begins the time anew; after it all that was kept is gone."""
    await known(kms, GCM_KEY)
    value = await begun(kms)
    for now in (NOW + 599, NOW + 1_198):
        kms.clock.now = now
        await kms(more(value))
    kms.clock.now = NOW + 1_798
    refused = await kms.refused(more(value))
    assert refused.reason is ResultReason.INVALID_CORRELATION_VALUE
    assert len(streams.STREAMS) == 0


@ensure  # type: ignore[untyped-decorator]
async def test_a_caller_has_so_many_streams_and_no_more(
    kms: Kms, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One caller's streams leave room for another's; a finished one makes room again."""
    monkeypatch.setattr(streams, "MOST_EACH", 3)
    monkeypatch.setattr(streams, "MOST", 5)
    await known(kms, GCM_KEY)
    bob = kms.by("bob")
    await kms.store.grant("k", "bob", frozenset({"encrypt"}))
    values = [await begun(kms) for _ in range(3)]
    full = Encrypt(unique_identifier="k", data=b"", init_indicator=True)
    assert (await kms.refused(full)).reason is ResultReason.SERVER_LIMIT_EXCEEDED
    await begun(bob)
    await begun(bob)
    assert (await bob.refused(full)).reason is ResultReason.SERVER_LIMIT_EXCEEDED
    await kms(_with(more(values[0]), final_indicator=True))
    await begun(kms)


@ensure  # type: ignore[untyped-decorator]
async def test_what_waits_in_a_stream_is_bounded(kms: Kms, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of what is signed as a whole wait: up to a limit in one stream, and in all."""
    monkeypatch.setattr(streams, "STREAM_BYTES", 100)
    monkeypatch.setattr(streams, "ALL_BYTES", 150)
    private, _ = await pair(kms, Algorithm.ED25519)
    first = Sign(unique_identifier=private, data=bytes(90), init_indicator=True)
    value = (await kms(first)).correlation_value
    refused = await kms.refused(_with(first, data=bytes(101)))
    assert refused.reason is ResultReason.SERVER_LIMIT_EXCEEDED
    assert (await kms.refused(first)).reason is ResultReason.SERVER_LIMIT_EXCEEDED
    last = Sign(unique_identifier=private, data=b"", correlation_value=value, final_indicator=True)
    assert (await kms(last)).signature_data
    assert (await kms(first)).correlation_value


def test_a_stream_is_kept_once_and_taken_once() -> None:
    """Two parts that come at the same time cannot both have it."""
    registry, binding = Streams(), Binding(Operation.SIGN, "alice", "k", None)
    work = Collected()
    work.update(b"secret")
    registry.keep(b"v", binding, work, NOW)
    assert registry.take(b"v", binding, NOW) is work
    with pytest.raises(KmipError):
        registry.take(b"v", binding, NOW)
    assert b"secret" not in repr(work).encode()


@ensure  # type: ignore[untyped-decorator]
async def test_the_products_clients_get_their_correlation_value_back(kms: Kms) -> None:
    """A value that a client made up has no meaning to Encrypt: each request is whole."""
    await known(kms, GCM_KEY)
    cases: tuple[tuple[Generation, dict[str, Any]], ...] = (
        (Generation.V4, {"init_indicator": True, "final_indicator": True}),
        (Generation.V4, {"final_indicator": True}),
        (Generation.V5, {}),
    )
    for generation, fields in cases:
        request = Encrypt(unique_identifier="k", data=PLAIN, correlation_value=b"mine", **fields)
        made = await kms.as_(generation)(request)
        assert made.correlation_value == b"mine"
        decrypted = await kms.as_(generation)(
            Decrypt(
                unique_identifier="k",
                data=made.data,
                iv_counter_nonce=made.iv_counter_nonce,
                authenticated_encryption_tag=made.authenticated_encryption_tag,
                correlation_value=b"mine",
            )
        )
        assert (decrypted.data, decrypted.correlation_value) == (PLAIN, b"mine")


@pytest.mark.parametrize(
    "fields",
    [
        {"correlation_value": b"unknown", "final_indicator": True},
        {"correlation_value": b"kmsd" + bytes(16)},
    ],
    ids=["made up", "ours, long ago"],
)
@ensure  # type: ignore[untyped-decorator]
async def test_a_part_of_no_stream_is_refused(kms: Kms, fields: dict[str, Any]) -> None:
    """A part that comes too late is not mistaken for a message of its own."""
    await known(kms, GCM_KEY)
    request = Encrypt(unique_identifier="k", data=b"x", **fields)
    refused = await kms.refused(request)
    assert refused.reason is ResultReason.INVALID_CORRELATION_VALUE


@ensure  # type: ignore[untyped-decorator]
async def test_by_the_book_a_foreign_value_is_no_prefix(kms: Kms) -> None:
    """The product's chains are for its own clients."""
    parameters = CryptographicParameters(hashing_algorithm=HashingAlgorithm.SHA256)
    request = Hash(cryptographic_parameters=parameters, data=b"", correlation_value=b"x")
    refused = await kms.as_(Generation.KMIP).refused(request)
    assert refused.reason is ResultReason.INVALID_CORRELATION_VALUE


@ensure  # type: ignore[untyped-decorator]
async def test_a_large_part_is_worked_on_away_from_the_reactor(kms: Kms) -> None:
    """From a MiB on a thread does it, for parts as for whole messages."""
    await known(kms, GCM_KEY)
    offloaded = []

    def offload(function: Any, *args: Any) -> Any:
        offloaded.append(function)
        return services.offload(function, *args)

    services = kms.engine.services
    kms.engine.services = dataclasses.replace(services, offload=offload)
    large = bytes(1 << 20)
    made = await in_parts(kms, Encrypt(unique_identifier="k"), large, b"end")
    assert len(offloaded) == 1
    decrypt = Decrypt(
        unique_identifier="k",
        data=made.data,
        iv_counter_nonce=made.iv_counter_nonce,
        authenticated_encryption_tag=made.authenticated_encryption_tag,
    )
    assert (await kms(decrypt)).data == large + b"end"
    assert len(offloaded) == 2
    await kms(Encrypt(unique_identifier="k", data=large))
    assert len(offloaded) == 3
