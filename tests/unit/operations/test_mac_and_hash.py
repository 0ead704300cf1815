"""MAC, MAC Verify, Hash, RNG Retrieve and RNG Seed."""

import hashlib
import hmac

import pytest
import pytest_twisted

from kmsd.crypto.mac import select
from kmsd.kmip.enums import BlockCipherMode, HashingAlgorithm, ResultReason, ValidityIndicator
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import CryptographicUsageMask as Mask
from kmsd.kmip.generations import Generation
from kmsd.kmip.structures import CryptographicParameters
from kmsd.operations.hash import Hash, HashResponse
from kmsd.operations.mac import MAC, Keyed
from kmsd.operations.mac_verify import MACVerify
from kmsd.operations.rng_retrieve import RNGRetrieve
from kmsd.operations.rng_seed import RNGSeed
from kmsd.ttlv import Item, ItemType, structure
from tests.server import NOW, Kms
from tests.using_keys import known, known_secret, revoke

ensure = pytest_twisted.ensureDeferred
KEY = bytes(range(32))
SHA256 = CryptographicParameters(hashing_algorithm=HashingAlgorithm.SHA256)


def hmac_sha256(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


@pytest.mark.parametrize(
    ("algorithm", "parameters", "name"),
    [
        (Algorithm.HMAC_SHA256, None, "sha256"),
        (Algorithm.AES, SHA256, "sha256"),
        (
            Algorithm.AES,
            CryptographicParameters(cryptographic_algorithm=Algorithm.HMAC_SHA1),
            "sha1",
        ),
        (
            Algorithm.HMAC_SHA256,
            CryptographicParameters(hashing_algorithm=HashingAlgorithm.SHA3_512),
            "sha3_512",
        ),
    ],
)
@ensure  # type: ignore[untyped-decorator]
async def test_the_parameters_then_the_key_say_which_hmac(
    kms: Kms, algorithm: Algorithm, parameters: CryptographicParameters | None, name: str
) -> None:
    """The hash function of the request counts first, then its algorithm, then the key's own."""
    await known(kms, KEY, algorithm)
    answer = await kms(
        MAC(unique_identifier="k", data=b"hello", cryptographic_parameters=parameters)
    )
    assert answer.mac_data == hmac.digest(KEY, b"hello", name)


@ensure  # type: ignore[untyped-decorator]
async def test_parameters_may_be_the_keys_own(kms: Kms) -> None:
    """An AES key that is registered with them makes HMACs without being told (OASIS CS-AC-M-4)."""
    own = CryptographicParameters(cryptographic_algorithm=Algorithm.HMAC_SHA256)
    await known(kms, KEY, cryptographic_parameters=(own,))
    answer = await kms(MAC(unique_identifier="k", data=b"hello"))
    assert answer.mac_data == hmac_sha256(KEY, b"hello")


@ensure  # type: ignore[untyped-decorator]
async def test_secret_data_keys_an_hmac_too(kms: Kms) -> None:
    """A registered password can be the key."""
    await known_secret(kms, b"secret")
    answer = await kms(MAC(unique_identifier="s", data=b"x", cryptographic_parameters=SHA256))
    assert answer.mac_data == hmac_sha256(b"secret", b"x")


@ensure  # type: ignore[untyped-decorator]
async def test_cmac_is_that_of_rfc_4493(kms: Kms) -> None:
    """The second example of RFC 4493 §4."""
    await known(kms, bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c"))
    parameters = CryptographicParameters(block_cipher_mode=BlockCipherMode.CMAC)
    data = bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")
    answer = await kms(MAC(unique_identifier="k", data=data, cryptographic_parameters=parameters))
    assert answer.mac_data.hex() == "070a16b46b4d4144f79bdd9dd04a287c"


@pytest.mark.parametrize(
    ("mac", "expected"),
    [
        (hmac_sha256(KEY, b"hello"), ValidityIndicator.VALID),
        (hmac_sha256(KEY, b"hello")[:16], ValidityIndicator.VALID),
        (hmac_sha256(KEY, b"hello")[:15], ValidityIndicator.INVALID),
        (hmac_sha256(KEY, b"hell0"), ValidityIndicator.INVALID),
        (b"", ValidityIndicator.INVALID),
    ],
    ids=["right", "half", "too short", "wrong", "empty"],
)
@ensure  # type: ignore[untyped-decorator]
async def test_a_mac_is_valid_or_not_and_never_an_error(
    kms: Kms, mac: bytes, expected: ValidityIndicator
) -> None:
    """A MAC may be shortened to half its length (RFC 2104 §5), no further."""
    await known(kms, KEY, Algorithm.HMAC_SHA256)
    answer = await kms(MACVerify(unique_identifier="k", data=b"hello", mac_data=mac))
    assert answer.validity_indicator is expected


@ensure  # type: ignore[untyped-decorator]
async def test_parts_have_the_mac_of_the_whole(kms: Kms) -> None:
    """By the book: three parts, one MAC; and it verifies in parts as well."""
    await known(kms, KEY, Algorithm.HMAC_SHA256)
    book = kms.as_(Generation.KMIP)
    answer = await book(MAC(unique_identifier="k", data=b"he", init_indicator=True))
    assert answer.mac_data is None
    answer = await book(
        MAC(unique_identifier="k", data=b"ll", correlation_value=answer.correlation_value)
    )
    answer = await book(
        MAC(
            unique_identifier="k",
            data=b"o",
            correlation_value=answer.correlation_value,
            final_indicator=True,
        )
    )
    assert answer.mac_data == hmac_sha256(KEY, b"hello")
    assert answer.correlation_value is None
    first = await kms(MACVerify(unique_identifier="k", data=b"hel", init_indicator=True))
    assert first.validity_indicator is None
    last = await kms(
        MACVerify(
            unique_identifier="k",
            data=b"lo",
            mac_data=answer.mac_data,
            correlation_value=first.correlation_value,
            final_indicator=True,
        )
    )
    assert last.validity_indicator is ValidityIndicator.VALID


@ensure  # type: ignore[untyped-decorator]
async def test_to_the_products_clients_parts_are_a_chain(kms: Kms) -> None:
    """The MAC of one part is the key of the next, the digest of one part begins the next."""
    await known(kms, KEY, Algorithm.HMAC_SHA256)
    first = await kms(MAC(unique_identifier="k", data=b"1", init_indicator=True))
    assert (first.mac_data, first.correlation_value) == (None, hmac_sha256(KEY, b"1"))
    last = await kms(
        MAC(
            unique_identifier="k",
            data=b"2",
            correlation_value=first.correlation_value,
            final_indicator=True,
        )
    )
    assert last.mac_data == hmac_sha256(hmac_sha256(KEY, b"1"), b"2")
    begun = await kms(Hash(cryptographic_parameters=SHA256, data=b"1", init_indicator=True))
    assert begun == HashResponse(correlation_value=hashlib.sha256(b"1").digest())
    ended = await kms(
        Hash(
            cryptographic_parameters=SHA256,
            data=b"2",
            correlation_value=begun.correlation_value,
            final_indicator=True,
        )
    )
    assert ended.data == hashlib.sha256(hashlib.sha256(b"1").digest() + b"2").digest()


@pytest.mark.parametrize(
    "algorithm",
    [HashingAlgorithm.SHA1, HashingAlgorithm.SHA384, HashingAlgorithm.SHA3_256],
    ids=lambda algorithm: str(algorithm.name),
)
@ensure  # type: ignore[untyped-decorator]
async def test_parts_have_the_digest_of_the_whole(kms: Kms, algorithm: HashingAlgorithm) -> None:
    """By the book, for as many parts as there are; empty ones change nothing."""
    book, parameters = (
        kms.as_(Generation.KMIP),
        CryptographicParameters(hashing_algorithm=algorithm),
    )
    whole = await book(Hash(cryptographic_parameters=parameters, data=b"hello"))
    assert whole.data == hashlib.new(algorithm.name.lower(), b"hello").digest()
    answer = await book(Hash(cryptographic_parameters=parameters, init_indicator=True))
    for part, final in ((b"hel", None), (b"", None), (b"lo", True)):
        answer = await book(
            Hash(
                cryptographic_parameters=parameters,
                data=part,
                correlation_value=answer.correlation_value,
                final_indicator=final,
            )
        )
    assert answer.data == whole.data


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (MAC(unique_identifier="aes", data=b""), ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS),
        (MAC(unique_identifier="k"), ResultReason.MISSING_DATA),
        (MACVerify(unique_identifier="k", data=b""), ResultReason.MISSING_DATA),
        (
            MAC(
                unique_identifier="k",
                data=b"",
                cryptographic_parameters=CryptographicParameters(
                    hashing_algorithm=HashingAlgorithm.MD5
                ),
            ),
            ResultReason.UNSUPPORTED_CRYPTOGRAPHIC_PARAMETERS,
        ),
        (MAC(unique_identifier="nobody", data=b""), ResultReason.ITEM_NOT_FOUND),
        (MACVerify(unique_identifier="nobody", mac_data=b""), ResultReason.OBJECT_NOT_FOUND),
        (Hash(cryptographic_parameters=SHA256), ResultReason.MISSING_DATA),
        (
            Hash(cryptographic_parameters=CryptographicParameters(), data=b""),
            ResultReason.INVALID_MESSAGE,
        ),
        (
            Hash(
                cryptographic_parameters=SHA256,
                data=b"",
                init_indicator=True,
                final_indicator=True,
            ),
            ResultReason.INVALID_MESSAGE,
        ),
        (RNGRetrieve(data_length=1 + (1 << 16)), ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS),
        (RNGRetrieve(data_length=-1), ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS),
    ],
)
@ensure  # type: ignore[untyped-decorator]
async def test_what_cannot_be_done_is_refused_for_its_own_reason(
    kms: Kms, request_: MAC | Hash, reason: ResultReason
) -> None:
    """An AES key says nothing of a MAC; MD5 makes none; data and names must be there."""
    await known(kms, KEY, uid="aes")
    await known(kms, KEY, Algorithm.HMAC_SHA256)
    assert (await kms.refused(request_)).reason is reason


@ensure  # type: ignore[untyped-decorator]
async def test_a_revoked_key_verifies_but_makes_no_macs(kms: Kms) -> None:
    """And the state of a key is told before what else is wrong with it."""
    await known(kms, KEY, Algorithm.HMAC_SHA256)
    verify = MACVerify(unique_identifier="k", data=b"x", mac_data=hmac_sha256(KEY, b"x"))
    await revoke(kms, "k")
    assert (await kms(verify)).validity_indicator is ValidityIndicator.VALID
    refused = await kms.refused(MAC(unique_identifier="k", data=b"x"))
    assert refused.reason is ResultReason.WRONG_KEY_LIFECYCLE_STATE
    await known(
        kms,
        KEY,
        uid="later",
        activation_date=NOW + 9,
        cryptographic_usage_mask=Mask.ENCRYPT,
    )
    request = MACVerify(unique_identifier="later", mac_data=b"")
    assert "is in state 'PreActive'" in (await kms.refused(request)).message


@pytest.mark.parametrize("tag", ["Mac", "MAC", "mac"])
@ensure  # type: ignore[untyped-decorator]
async def test_clients_spell_the_tag_as_they_like(kms: Kms, tag: str) -> None:
    """The product's clients write `Mac` where KMIP has `MAC`."""
    await known(kms, KEY, Algorithm.HMAC_SHA256)
    uid = Item("UniqueIdentifier", ItemType.TEXT_STRING, "k")
    data = Item("Data", ItemType.BYTE_STRING, b"x")
    answer = await kms.item(structure(tag, uid, data))
    assert answer.tag == "MACResponse"


@ensure  # type: ignore[untyped-decorator]
async def test_random_bytes_come_as_asked_and_a_seed_does_not_repeat_them(kms: Kms) -> None:
    """All of a seed is taken, as the answer says; the same seed leads to different bytes."""
    drawn = set()
    for generation in (Generation.KMIP, Generation.V5):
        seeded = await kms.as_(generation)(RNGSeed(data=b"seed" * 8))
        said = (seeded.data_length, seeded.amount_of_seed_data)
        assert said == ((32, None) if generation is Generation.KMIP else (None, 32))
        drawn.add((await kms(RNGRetrieve(data_length=32))).data)
    assert {len(each) for each in drawn} == {32}
    assert len(drawn) == 2
    assert (await kms(RNGRetrieve(data_length=0))).data == b""


@ensure  # type: ignore[untyped-decorator]
async def test_tags_that_several_keys_carry_name_none_of_them(kms: Kms) -> None:
    """Except to the product's 4.x clients, who get the first; a single key is found by its tags."""
    for uid, tags in (("a", ("t",)), ("b", ("t", "only"))):
        await kms.key(uid, tags, cryptographic_algorithm=Algorithm.HMAC_SHA256)
    verify = MACVerify(unique_identifier='["t"]', data=b"", mac_data=b"")
    assert "resolve to 2" in (await kms.refused(verify)).message
    first = await kms.as_(Generation.V4)(verify)
    assert first.unique_identifier == "a"
    only = await kms(MACVerify(unique_identifier='["only"]', data=b"", mac_data=b""))
    assert only.unique_identifier == "b"


def test_a_key_in_use_shows_no_bytes() -> None:
    """What is passed around with a key in it does not print it."""
    assert repr(Keyed(select(Algorithm.HMAC_SHA256), KEY)) == "<HMAC-SHA256>"
