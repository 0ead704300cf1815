"""Encrypt and Decrypt where the key is no symmetric one, and limits of data."""

import pytest
import pytest_twisted

from kmsd.crypto import bulk
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import RecommendedCurve, ResultReason
from kmsd.operations.decrypt import Decrypt
from kmsd.operations.encrypt import Encrypt
from tests.server import Kms
from tests.using_keys import pair

ensure = pytest_twisted.ensureDeferred

PAIRS = [
    (Algorithm.RSA, 2048, None),
    (Algorithm.ECDH, None, RecommendedCurve.P256),
    (Algorithm.ECDH, None, RecommendedCurve.CURVE25519),
]
NAMES = ["RSA", "P-256", "X25519"]


@pytest.mark.parametrize(("algorithm", "bits", "curve"), PAIRS, ids=NAMES)
@ensure  # type: ignore[untyped-decorator]
async def test_one_half_encrypts_and_the_other_decrypts(
    kms: Kms, algorithm: Algorithm, bits: int | None, curve: RecommendedCurve | None
) -> None:
    """A message, and many of them as BulkData, each item in the form of a single one."""
    private, public = await pair(kms, algorithm, bits, curve)
    single = await kms(Encrypt(unique_identifier=public, data=b"hello"))
    assert single.iv_counter_nonce is None
    assert (await kms(Decrypt(unique_identifier=private, data=single.data))).data == b"hello"
    several = bulk.build([b"one", b"", b"three"])
    sealed = await kms(Encrypt(unique_identifier=public, data=several))
    items = bulk.parse(sealed.data)
    opened = [(await kms(Decrypt(unique_identifier=private, data=each))).data for each in items]
    assert opened == [b"one", b"", b"three"]
    assert (await kms(Decrypt(unique_identifier=private, data=sealed.data))).data == several


@pytest.mark.parametrize(
    "algorithm", [Algorithm.ML_KEM_512, Algorithm.ML_KEM_768, Algorithm.ML_KEM_1024]
)
@ensure  # type: ignore[untyped-decorator]
async def test_ml_kem_makes_a_secret_that_only_the_private_key_finds_again(
    kms: Kms, algorithm: Algorithm
) -> None:
    """Empty data in; the secret comes as Data, its ciphertext in the place of the nonce."""
    private, public = await pair(kms, algorithm)
    one = await kms(Encrypt(unique_identifier=public, data=b""))
    other = await kms(Encrypt(unique_identifier=public))
    assert len(one.data) == 32
    assert one.data != other.data
    for made in (one, other):
        found = await kms(Decrypt(unique_identifier=private, data=made.iv_counter_nonce))
        assert found.data == made.data
    changed = bytes([one.iv_counter_nonce[0] ^ 1]) + one.iv_counter_nonce[1:]
    implicit = await kms(Decrypt(unique_identifier=private, data=changed))
    assert implicit.data != one.data  # FIPS 203 §6.3: implicit rejection
    assert one.data.hex() not in repr(one)
    assert repr(one.data) not in repr(one)


@ensure  # type: ignore[untyped-decorator]
async def test_ml_kem_encrypts_no_data_of_the_callers(kms: Kms) -> None:
    """Data would be lost in silence; a ciphertext of a wrong length is refused without detail."""
    private, public = await pair(kms, Algorithm.ML_KEM_768)
    refused = await kms.refused(Encrypt(unique_identifier=public, data=b"x"))
    assert refused.reason is ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS
    short = await kms.refused(Decrypt(unique_identifier=private, data=bytes(7)))
    assert short.reason is ResultReason.CRYPTOGRAPHIC_FAILURE


@pytest.mark.parametrize(
    "request_",
    [
        Encrypt(unique_identifier="k"),
        Decrypt(unique_identifier="k"),
        Encrypt(unique_identifier="p_pk"),
        Decrypt(unique_identifier="p"),
    ],
    ids=["Encrypt", "Decrypt", "to a public key", "with a private key"],
)
@ensure  # type: ignore[untyped-decorator]
async def test_data_must_be_there(kms: Kms, request_: Encrypt | Decrypt) -> None:
    """Empty data is data; none is Missing Data."""
    await kms.key()
    await pair(kms, Algorithm.ECDH, curve=RecommendedCurve.P256)
    assert (await kms.refused(request_)).reason is ResultReason.MISSING_DATA


@ensure  # type: ignore[untyped-decorator]
async def test_large_and_small_data_come_to_the_same(kms: Kms) -> None:
    """From a MiB on a thread does the work; nobody can tell from the answer."""
    await kms.key()
    for size in (0, (1 << 20) - 1, 1 << 20, 3 << 20):
        data = bytes(size)
        made = await kms(Encrypt(unique_identifier="k", data=data))
        answer = await kms(
            Decrypt(
                unique_identifier="k",
                data=made.data,
                iv_counter_nonce=made.iv_counter_nonce,
                authenticated_encryption_tag=made.authenticated_encryption_tag,
            )
        )
        assert answer.data == data


@ensure  # type: ignore[untyped-decorator]
async def test_bulk_data_comes_back_as_it_went(kms: Kms) -> None:
    """Many messages under one key, with what is authenticated beside them."""
    await kms.key()
    several = bulk.build([b"one", b"", b"three"])
    fields = {"authenticated_encryption_additional_data": b"aad"}
    sealed = await kms(Encrypt(unique_identifier="k", data=several, **fields))  # type: ignore[arg-type]
    assert [len(each) for each in bulk.parse(sealed.data)] == [31, 28, 33]
    opened = await kms(Decrypt(unique_identifier="k", data=sealed.data, **fields))  # type: ignore[arg-type]
    assert opened.data == several
    refused = await kms.refused(Decrypt(unique_identifier="k", data=sealed.data))
    assert refused.reason is ResultReason.CRYPTOGRAPHIC_FAILURE
