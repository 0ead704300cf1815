"""MACs, key derivation, split keys, wrapping and random bytes."""

from __future__ import annotations

import hmac
import itertools
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kmsd.crypto import generate, kdf, keywrap, mac, rng, split, wrapping
from kmsd.crypto.algorithms import cipher
from kmsd.crypto.digest import digest
from kmsd.crypto.keys import PrivateKey
from kmsd.kmip.enums import BlockCipherMode as Mode
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import DerivationMethod as Method
from kmsd.kmip.enums import HashingAlgorithm as Hash
from kmsd.kmip.enums import PaddingMethod as Padding
from kmsd.kmip.enums import RecommendedCurve as Curve
from kmsd.kmip.enums import SplitKeyMethod
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import CryptographicParameters as Parameters

REFUSAL = r"^CRYPTO: decryption failed$"
KEY = bytes(range(32))
CMAC = Parameters(block_cipher_mode=Mode.CMAC)


# --- MAC ---


@pytest.mark.parametrize(
    ("algorithm", "parameters", "name"),
    [
        (Algorithm.HMAC_SHA256, None, "HMAC-SHA256"),
        (Algorithm.AES, Parameters(cryptographic_algorithm=Algorithm.HMAC_SHA1), "HMAC-SHA1"),
        (Algorithm.AES, Parameters(hashing_algorithm=Hash.SHA3_512), "HMAC-SHA3512"),
        (Algorithm.HMAC_SHA256, Parameters(hashing_algorithm=Hash.SHA512), "HMAC-SHA512"),
        (Algorithm.AES, CMAC, "AES-CMAC"),
        (None, CMAC, "AES-CMAC"),
        (Algorithm.THREE_DES, CMAC, "3DES-CMAC"),
    ],
)
def test_the_request_names_the_mac_or_the_key_does(
    algorithm: Algorithm | None, parameters: Parameters | None, name: str
) -> None:
    assert mac.select(algorithm, parameters).name == name


@pytest.mark.parametrize(
    ("algorithm", "parameters", "words"),
    [
        (Algorithm.AES, None, "no HMAC algorithm"),
        (Algorithm.AES, Parameters(cryptographic_algorithm=Algorithm.AES), "no HMAC algorithm"),
        (Algorithm.HMAC_SHA256, Parameters(hashing_algorithm=Hash.MD5), "MD5 is not supported"),
        (Algorithm.AES, Parameters(block_cipher_mode=Mode.GCM), "GCM is not supported"),
        (Algorithm.CHACHA20, CMAC, "CMAC with ChaCha20 is not supported"),
    ],
)
def test_a_mac_that_nothing_names_is_refused(
    algorithm: Algorithm, parameters: Parameters | None, words: str
) -> None:
    with pytest.raises(KmipError, match=words):
        mac.select(algorithm, parameters)


MACS = [
    *(mac.hmac_fips198(hashing) for hashing in mac._HMACS.values()),
    mac.CMAC_AES,
    mac.CMAC_3DES,
]


@pytest.mark.parametrize("row", MACS, ids=lambda row: row.name)
def test_a_mac_verifies_and_each_changed_bit_does_not(row: mac.Mac) -> None:
    key = os.urandom(24)
    computed = row.compute(key, b"data")
    assert len(computed) == row.size
    assert row.verify(key, b"data", computed)
    assert not row.verify(key, b"date", computed)
    assert not row.verify(os.urandom(24), b"data", computed)
    for bit in range(8 * row.size):
        changed = int.from_bytes(computed) ^ 1 << bit
        assert not row.verify(key, b"data", changed.to_bytes(row.size))


@pytest.mark.parametrize("row", MACS, ids=lambda row: row.name)
def test_a_shortened_mac_has_half_its_length_at_least(row: mac.Mac) -> None:
    computed = row.compute(KEY[:24], b"data")
    for size in range(row.size + 1):
        assert row.verify(KEY[:24], b"data", computed[:size]) == (size >= row.shortest)
    assert not row.verify(KEY[:24], b"data", computed + b"\0")


@pytest.mark.parametrize("row", MACS, ids=lambda row: row.name)
def test_a_mac_in_parts_is_that_of_the_whole(row: mac.Mac) -> None:
    stream = row.context(KEY[:24])
    for part in (b"", b"da", b"ta"):
        stream.update(part)
    assert stream.finalize() == row.compute(KEY[:24], b"data")


def test_a_mac_key_of_a_wrong_length_is_refused() -> None:
    with pytest.raises(KmipError, match="16, 24 or 32 bytes, not 5"):
        mac.CMAC_AES.compute(b"short", b"")
    with pytest.raises(KmipError, match="takes a key"):
        mac.hmac_fips198(Hash.SHA256).compute(b"", b"")


# --- derivation ---


def derive(method: Method, length: int, **fields: object) -> bytes:
    return kdf.derive(method, kdf.Derivation(key=KEY, length=length, **fields))  # type: ignore[arg-type]


def prf(data: bytes) -> bytes:
    return hmac.digest(KEY, data, "sha256")


def count(i: int) -> bytes:
    return i.to_bytes(4)


def test_counter_mode_hashes_counter_and_fixed_input() -> None:
    expected = prf(count(1) + b"fixed") + prf(count(2) + b"fixed")
    assert derive(Method.NIST800_108_C, 48, data=b"fixed") == expected[:48]


def test_counter_mode_is_the_librarys() -> None:
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.kdf.kbkdf import KBKDFHMAC, CounterLocation
    from cryptography.hazmat.primitives.kdf.kbkdf import Mode as LibraryMode

    theirs = KBKDFHMAC(
        hashes.SHA512(),
        LibraryMode.CounterMode,
        100,
        4,
        None,
        CounterLocation.BeforeFixed,
        None,
        None,
        b"label\0context",
    ).derive(KEY)
    parameters = Parameters(hashing_algorithm=Hash.SHA512)
    ours = derive(Method.NIST800_108_C, 100, data=b"label\0context", parameters=parameters)
    assert ours == theirs


def test_feedback_mode_begins_with_the_iv_and_goes_on_with_the_last_block() -> None:
    first = prf(b"iv" + count(1) + b"fixed")
    expected = first + prf(first + count(2) + b"fixed")
    assert derive(Method.NIST800_108_F, 64, data=b"fixed", iv=b"iv") == expected
    assert derive(Method.NIST800_108_F, 32, data=b"fixed") == prf(count(1) + b"fixed")


def test_double_pipeline_mode_runs_two_chains() -> None:
    one = prf(b"fixed")
    two = prf(one)
    expected = prf(one + count(1) + b"fixed") + prf(two + count(2) + b"fixed")
    assert derive(Method.NIST800_108_DPI, 64, data=b"fixed") == expected


def test_sp800_108_takes_cmac_too() -> None:
    row = mac.CMAC_AES
    expected = row.compute(KEY, count(1) + b"x") + row.compute(KEY, count(2) + b"x")
    assert derive(Method.NIST800_108_C, 32, data=b"x", parameters=CMAC) == expected


def test_hash_hmac_and_encrypt_give_no_more_than_their_output() -> None:
    ecb = Parameters(block_cipher_mode=Mode.ECB)
    cbc = Parameters(block_cipher_mode=Mode.CBC, padding_method=Padding.NONE)
    block = cipher(None, ecb).prepare(KEY).encrypt(bytes(16)).ciphertext
    assert derive(Method.HASH, 16, data=b"data") == digest(Hash.SHA256, b"data")[:16]
    assert derive(Method.HASH, 32) == digest(Hash.SHA256, KEY)
    assert derive(Method.HMAC, 32, data=b"data") == prf(b"data")
    assert derive(Method.ENCRYPT, 16, data=bytes(16), parameters=ecb) == block
    assert derive(Method.ENCRYPT, 16, data=bytes(16), parameters=cbc) == block
    assert derive(Method.ENCRYPT, 16, data=bytes(16), parameters=cbc, iv=b"i" * 16) != block
    for method in (Method.HASH, Method.HMAC):
        with pytest.raises(KmipError, match="gives no more than 32 bytes"):
            derive(method, 33, data=b"data")


def test_aws_signing_keys_are_a_chain_of_hmacs() -> None:
    expected = b"AWS4" + KEY
    for part in (b"20260101", b"eu-west-1", b"s3", b"aws4_request"):
        expected = hmac.digest(expected, part, "sha256")
    assert kdf.aws_signature_v4(KEY, (b"20260101", b"eu-west-1", b"s3")) == expected
    with pytest.raises(KmipError, match="three"):
        kdf.aws_signature_v4(KEY, (b"20260101",))


@pytest.mark.parametrize(
    ("method", "length", "fields", "words"),
    [
        (Method.PBKDF2, 32, {}, "Salt"),
        (Method.PBKDF2, 32, {"salt": b"s", "iterations": 0}, "IterationCount"),
        (Method.PBKDF2, 32, {"salt": b"s", "iterations": 10**9}, "IterationCount"),
        (Method.PBKDF2, 65536, {"salt": b"s", "iterations": 10**6}, "IterationCount"),
        (Method.HKDF, 255 * 32 + 1, {}, "no more than 8160 bytes"),
        (Method.HKDF, 0, {}, "length"),
        (Method.HKDF, 2**40, {}, "length"),
        (Method.HKDF, 32, {"parameters": Parameters(hashing_algorithm=Hash.MD2)}, "not supported"),
        (Method.ASYMMETRIC_KEY, 32, {}, "not supported"),
    ],
)
def test_a_derivation_beyond_its_limits_is_refused_before_any_work(
    method: Method, length: int, fields: dict[str, object], words: str
) -> None:
    with pytest.raises(KmipError, match=words):
        derive(method, length, **fields)


def test_pbkdf2_iterates_600000_times_unless_told() -> None:
    named = derive(Method.PBKDF2, 16, salt=b"salt", iterations=600_000)
    assert derive(Method.PBKDF2, 16, salt=b"salt") == named


def test_a_derivation_shows_no_key() -> None:
    assert "key=" not in repr(kdf.Derivation(key=b"secret", length=1, data=b"secret"))


# --- split keys ---

SHARING = [
    SplitKeyMethod.POLYNOMIAL_SHARING_GF_2_8,
    SplitKeyMethod.POLYNOMIAL_SHARING_GF_2_16,
    SplitKeyMethod.POLYNOMIAL_SHARING_PRIME_FIELD,
]


@pytest.mark.parametrize("method", SHARING)
@pytest.mark.parametrize("secret", [b"\0", b"\0\xff", bytes(range(33))])
def test_any_threshold_of_parts_gives_the_secret_back(
    method: SplitKeyMethod, secret: bytes
) -> None:
    made = split.split(method, secret, 5, 3)
    for chosen in itertools.combinations(made.parts, 3):
        parts = {x: made.parts[x] for x in chosen}
        assert secret == split.join(
            method, parts, 3, prime=made.prime_field_size, length=len(secret)
        )


@pytest.mark.parametrize("method", SHARING)
def test_fewer_parts_are_refused_and_other_parts_give_something_else(
    method: SplitKeyMethod,
) -> None:
    secret = bytes(range(16))
    made = split.split(method, secret, 4, 3)
    prime = made.prime_field_size
    with pytest.raises(KmipError, match="too few key parts"):
        split.join(method, dict(list(made.parts.items())[:2]), 3, prime=prime)
    forged = made.parts | {1: bytes(len(made.parts[1]))}
    assert split.join(method, forged, 3, prime=prime)[-16:] != secret


def test_xor_needs_all_parts() -> None:
    made = split.split(SplitKeyMethod.XOR, b"secret", 3, 3)
    assert split.join(SplitKeyMethod.XOR, made.parts, 3) == b"secret"
    assert made.prime_field_size is None
    with pytest.raises(KmipError, match="needs all parts"):
        split.split(SplitKeyMethod.XOR, b"secret", 3, 2)


def test_one_part_of_threshold_one_is_the_secret() -> None:
    made = split.split(SplitKeyMethod.POLYNOMIAL_SHARING_GF_2_8, b"secret", 2, 1)
    assert set(made.parts.values()) == {b"secret"}


def test_gf8_is_the_field_modulo_0x11d() -> None:
    coefficients = iter([b"\x80"])
    made = split.split(
        SplitKeyMethod.POLYNOMIAL_SHARING_GF_2_8, b"\x05", 2, 2, lambda _: next(coefficients)
    )
    assert made.parts == {1: b"\x85", 2: b"\x18"}  # 0x80·2 = 0x1d


def test_gf16_multiplies_as_kmip_defines_it() -> None:
    y = 0x0100
    assert split._multiply_16(y, y) == 0x0100 ^ split._M  # y² = y + m
    for a in range(1, 1 << 16, 997):
        u, v = a >> 8, a & 0xFF
        m = split._multiply_8
        d = split._GF8.invert(m(u ^ v, v) ^ m(split._M, m(u, u)))
        inverse = m(u, d) << 8 | m(u ^ v, d)  # the specification's formula
        assert split._multiply_16(a, inverse) == 1
        assert split._GF16.invert(a) == inverse


@pytest.mark.parametrize(
    ("parts", "threshold", "secret"),
    [(0, 0, b"x"), (3, 4, b"x"), (256, 2, b"x"), (2, 0, b"x"), (3, 2, b""), (3, 2, bytes(65537))],
)
def test_impossible_splits_are_refused(parts: int, threshold: int, secret: bytes) -> None:
    with pytest.raises(KmipError):
        split.split(SplitKeyMethod.POLYNOMIAL_SHARING_GF_2_8, secret, parts, threshold)


def test_a_prime_must_be_larger_than_the_secret() -> None:
    method = SplitKeyMethod.POLYNOMIAL_SHARING_PRIME_FIELD
    with pytest.raises(KmipError, match="PrimeFieldSize"):
        split.split(method, b"\xff\xff", 3, 2, prime=257)
    with pytest.raises(KmipError, match="PrimeFieldSize"):
        split.split(method, bytes(65536), 3, 2)
    with pytest.raises(KmipError, match="PrimeFieldSize"):
        split.split(method, b"x", 3, 2, prime=7)
    made = split.split(method, b"\xff" * 16, 3, 2)
    forged = {1: made.parts[1], 2: made.parts[3]}
    with pytest.raises(KmipError, match="do not belong together"):
        split.join(method, forged, 2, prime=made.prime_field_size, length=16)


def test_more_work_than_a_key_can_need_is_refused_before_it_begins() -> None:
    for method in SHARING[:2]:
        with pytest.raises(KmipError, match="too large to be split"):
            split.split(method, bytes(60_000), 255, 255)
        parts = {x: bytes(60_000) for x in range(1, 256)}
        with pytest.raises(KmipError, match="too large to be split"):
            split.join(method, parts, 255)
    with pytest.raises(KmipError, match="PrimeFieldSize"):
        split.join(SHARING[2], {1: b"x", 2: b"y"}, 2, prime=1 << 10**6)


def test_as_many_parts_as_there_can_be_still_work() -> None:
    for method in SHARING:
        made = split.split(method, b"k" * 4, 255, 255)
        prime = made.prime_field_size
        assert split.join(method, made.parts, 255, prime=prime, length=4) == b"k" * 4


def test_parts_that_do_not_fit_are_refused() -> None:
    method = SplitKeyMethod.POLYNOMIAL_SHARING_GF_2_8
    with pytest.raises(KmipError, match="different lengths"):
        split.join(method, {1: b"a", 2: b"bc"}, 2)
    with pytest.raises(KmipError, match="KeyPartIdentifier"):
        split.join(method, {0: b"a", 2: b"b"}, 2)


# --- wrapping ---

WRAPPING_KEYS: dict[str, PrivateKey | bytes] = {
    "AES-128": KEY[:16],
    "AES-256": KEY,
    "RSA": generate.generate_pair(Algorithm.RSA, 2048),
    "P-256": generate.generate_pair(Algorithm.ECDH, None, Curve.P256),
    "X25519": generate.generate_pair(Algorithm.ECDH, None, Curve.CURVE25519),
    "Ed25519": generate.generate_pair(Algorithm.ED25519),
}
AES_MODES = [
    None,
    Mode.NIST_KEY_WRAP,
    Mode.AES_KEY_WRAP_PADDING,
    Mode.LEGACY_NIST_KEY_WRAP,
    Mode.GCM,
]


def wrapping_cases() -> list[tuple[str, Parameters | None]]:
    cases: list[tuple[str, Parameters | None]] = [(name, None) for name in WRAPPING_KEYS]
    cases += [("AES-256", Parameters(block_cipher_mode=mode)) for mode in AES_MODES]
    cases += [
        ("RSA", Parameters(padding_method=padding)) for padding in (Padding.OAEP, Padding.NONE)
    ]
    return cases


@pytest.mark.parametrize(("name", "parameters"), wrapping_cases())
def test_a_key_unwraps_and_changes_to_it_do_not(name: str, parameters: Parameters | None) -> None:
    key = WRAPPING_KEYS[name]
    public = key if isinstance(key, bytes) else key.public_key()
    wrapped = wrapping.wrap(public, KEY, parameters, aad=b"aad")
    assert wrapping.unwrap(key, wrapped, parameters, aad=b"aad") == KEY
    for at in range(0, len(wrapped), max(1, len(wrapped) // 40)):
        changed = wrapped[:at] + bytes((wrapped[at] ^ 1,)) + wrapped[at + 1 :]
        with pytest.raises(KmipError, match=REFUSAL):
            wrapping.unwrap(key, changed, parameters, aad=b"aad")
    with pytest.raises(KmipError, match=REFUSAL):
        wrapping.unwrap(key, wrapped[:20], parameters, aad=b"aad")


def test_nist_key_wrap_pads_for_the_old_generation_only() -> None:
    parameters = Parameters(block_cipher_mode=Mode.NIST_KEY_WRAP)
    assert wrapping.wrap(KEY, KEY, parameters) == keywrap.rfc3394_wrap(KEY, KEY)
    assert wrapping.wrap(KEY, KEY, parameters, generation=4) == keywrap.rfc5649_wrap(KEY, KEY)
    assert wrapping.wrap(KEY, KEY) == keywrap.rfc5649_wrap(KEY, KEY)


def test_gcm_wraps_to_nonce_ciphertext_and_tag_and_binds_the_aad() -> None:
    parameters = Parameters(block_cipher_mode=Mode.GCM)
    wrapped = wrapping.wrap(KEY, b"key", parameters, aad=b"a", random=lambda n: b"n" * n)
    sealed = cipher(Algorithm.AES).prepare(KEY).encrypt(b"key", b"n" * 12, b"a")
    assert wrapped == sealed.nonce + sealed.ciphertext + sealed.tag
    with pytest.raises(KmipError, match=REFUSAL):
        wrapping.unwrap(KEY, wrapped, parameters, aad=b"b")


def test_wrappings_that_make_no_sense_are_refused() -> None:
    gcm = Parameters(block_cipher_mode=Mode.GCM)
    private = WRAPPING_KEYS["RSA"]
    assert not isinstance(private, bytes)
    with pytest.raises(KmipError, match="symmetric wrapping keys only"):
        wrapping.wrap(private.public_key(), KEY, gcm)
    with pytest.raises(KmipError, match="symmetric wrapping keys only"):
        wrapping.unwrap(private, KEY, gcm)
    with pytest.raises(KmipError, match="mode CBC is not supported"):
        wrapping.wrap(KEY, KEY, Parameters(block_cipher_mode=Mode.CBC))
    for mode in AES_MODES:
        with pytest.raises(KmipError, match="16, 24 or 32 bytes, not 5"):
            wrapping.wrap(b"short", KEY, Parameters(block_cipher_mode=mode))
        with pytest.raises(KmipError, match="16, 24 or 32 bytes, not 5"):
            wrapping.unwrap(b"short", KEY, Parameters(block_cipher_mode=mode))


def test_rfc_3394_wants_whole_semiblocks_and_rfc_5649_a_byte() -> None:
    for bad in (b"", bytes(8), bytes(17)):
        with pytest.raises(KmipError, match="RFC 3394 wraps"):
            keywrap.rfc3394_wrap(KEY, bad)
    with pytest.raises(KmipError, match="RFC 5649 wraps"):
        keywrap.rfc5649_wrap(KEY, b"")


@settings(max_examples=50)
@given(key=st.binary(min_size=1, max_size=80), kek=st.sampled_from([16, 24, 32]))
def test_a_key_of_any_length_is_wrapped_with_padding(key: bytes, kek: int) -> None:
    wrapped = keywrap.rfc5649_wrap(KEY[:kek], key)
    assert len(wrapped) == -(-len(key) // 8) * 8 + 8
    assert keywrap.rfc5649_unwrap(KEY[:kek], wrapped) == key


# --- random bytes ---


def test_random_bytes_differ_before_and_after_seeding() -> None:
    source = rng.Rng()
    drawn = [source.retrieve(32)]
    assert source.seed(b"seed") == 4
    drawn += [source.retrieve(32), source.retrieve(32)]
    assert len(set(drawn)) == 3
    assert {len(each) for each in drawn} == {32}
    assert source.retrieve(0) == b""


def test_two_generators_of_one_seed_differ() -> None:
    one, other = rng.Rng(), rng.Rng()
    one.seed(b"same")
    other.seed(b"same")
    assert one.retrieve(16) != other.retrieve(16)


@pytest.mark.parametrize("size", [-1, rng.MOST + 1])
def test_no_more_random_bytes_than_the_limit_at_once(size: int) -> None:
    with pytest.raises(KmipError, match="at once"):
        rng.Rng().retrieve(size)
