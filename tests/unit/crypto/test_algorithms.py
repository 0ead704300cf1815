"""Which row of the table a request means, and how requests are refused."""

from __future__ import annotations

import pytest

from kmsd.crypto import algorithms
from kmsd.crypto.algorithms import cipher
from kmsd.crypto.bulk import build, parse
from kmsd.kmip.enums import BlockCipherMode as Mode
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import PaddingMethod as Padding
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import CryptographicParameters as Parameters

AES, CHACHA, CHACHA_POLY = Algorithm.AES, Algorithm.CHACHA20, Algorithm.CHACHA20_POLY1305
KEY = bytes(range(32))


@pytest.mark.parametrize(
    ("algorithm", "parameters", "generation", "name", "padding"),
    [
        (None, None, 5, "AES-GCM", None),
        (AES, None, 5, "AES-GCM", None),
        (AES, Parameters(block_cipher_mode=Mode.AEAD), 5, "AES-GCM", None),
        (
            AES,
            Parameters(block_cipher_mode=Mode.GCM, padding_method=Padding.PKCS5),
            5,
            "AES-GCM",
            None,
        ),
        (AES, Parameters(block_cipher_mode=Mode.CBC), 5, "AES-CBC", Padding.PKCS5),
        (AES, Parameters(block_cipher_mode=Mode.ECB), 5, "AES-ECB", Padding.NONE),
        (AES, Parameters(block_cipher_mode=Mode.NIST_KEY_WRAP), 5, "AES-KW", None),
        (AES, Parameters(block_cipher_mode=Mode.NIST_KEY_WRAP), 4, "AES-KWP", None),
        (AES, Parameters(block_cipher_mode=Mode.LEGACY_NIST_KEY_WRAP), 5, "AES-KWP", None),
        (AES, Parameters(cryptographic_algorithm=CHACHA_POLY), 5, "ChaCha20-Poly1305", None),
        (CHACHA, None, 5, "ChaCha20", None),
        (CHACHA, None, 4, "ChaCha20-Poly1305", None),
        (CHACHA, Parameters(block_cipher_mode=Mode.AEAD), 5, "ChaCha20-Poly1305", None),
        (CHACHA_POLY, None, 5, "ChaCha20-Poly1305", None),
        (CHACHA_POLY, Parameters(block_cipher_mode=Mode.GCM), 5, "AES-GCM", None),
        (
            CHACHA,
            Parameters(block_cipher_mode=Mode.CBC, cryptographic_algorithm=AES),
            5,
            "AES-CBC",
            Padding.PKCS5,
        ),
        (Algorithm.THREE_DES, None, 5, "3DES-CBC", Padding.PKCS5),
    ],
)
def test_mode_decides_then_the_request_then_the_key(
    algorithm: Algorithm | None,
    parameters: Parameters | None,
    generation: int,
    name: str,
    padding: Padding | None,
) -> None:
    row = cipher(algorithm, parameters, generation=generation)
    assert (row.name, row.padding) == (name, padding)


@pytest.mark.parametrize(
    ("algorithm", "parameters"),
    [
        (AES, Parameters(block_cipher_mode=Mode.OFB)),
        (AES, Parameters(block_cipher_mode=Mode.CBC, padding_method=Padding.OAEP)),
        (Algorithm.BLOWFISH, None),
        (Algorithm.RSA, None),
        (Algorithm.THREE_DES, Parameters(block_cipher_mode=Mode.GCM)),
    ],
)
def test_what_is_not_in_the_table_is_not_supported(
    algorithm: Algorithm, parameters: Parameters | None
) -> None:
    with pytest.raises(KmipError, match="not supported") as caught:
        cipher(algorithm, parameters)
    assert caught.value.reason is ResultReason.UNSUPPORTED_CRYPTOGRAPHIC_PARAMETERS


@pytest.mark.parametrize("length", [0, 1, 11, 17, 32, 999])
def test_a_gcm_tag_has_12_to_16_bytes(length: int) -> None:
    ready = cipher(AES).prepare(KEY)
    with pytest.raises(KmipError, match="invalid tag length") as caught:
        ready.encrypt(b"data", None, b"", length)
    assert caught.value.reason is ResultReason.GENERAL_FAILURE
    with pytest.raises(KmipError, match="invalid tag length"):
        ready.encryptor(tag_length=length)
    sealed = ready.encrypt(b"data")
    with pytest.raises(KmipError, match="invalid tag length"):
        ready.decrypt(sealed.ciphertext, sealed.nonce, b"", sealed.tag, length)


@pytest.mark.parametrize("length", range(12, 17))
def test_a_truncated_gcm_tag_is_checked_in_full_length(length: int) -> None:
    ready = cipher(AES).prepare(KEY)
    sealed = ready.encrypt(b"data", None, b"aad", length)
    stream = ready.encryptor(sealed.nonce, b"aad", length)
    assert stream.finalize(b"data") == sealed
    assert len(sealed.tag) == length
    assert ready.decrypt(sealed.ciphertext, sealed.nonce, b"aad", sealed.tag, length) == b"data"
    wrong = sealed.tag[:-1] + bytes((sealed.tag[-1] ^ 1,))
    with pytest.raises(KmipError, match=r"^CRYPTO: decryption failed$"):
        ready.decrypt(sealed.ciphertext, sealed.nonce, b"aad", wrong)


def test_a_tag_of_another_length_than_announced_is_refused() -> None:
    ready = cipher(AES).prepare(KEY)
    sealed = ready.encrypt(b"data")
    with pytest.raises(KmipError, match="invalid tag length: 16 bytes"):
        ready.decrypt(sealed.ciphertext, sealed.nonce, b"", sealed.tag, 12)


def test_decrypting_without_the_iv_is_an_invalid_message() -> None:
    for mode in (Mode.GCM, Mode.CBC, Mode.XTS):
        ready = cipher(AES, Parameters(block_cipher_mode=mode)).prepare(KEY)
        with pytest.raises(KmipError, match="missing-iv") as caught:
            ready.decrypt(bytes(32), None, b"", bytes(16))
        assert caught.value.reason is ResultReason.INVALID_MESSAGE


def test_an_empty_iv_means_zeros_in_cbc_and_nowhere_else() -> None:
    cbc = cipher(AES, Parameters(block_cipher_mode=Mode.CBC)).prepare(KEY)
    assert cbc.encrypt(b"data", b"") == cbc.encrypt(b"data", bytes(16))
    with pytest.raises(KmipError, match="IVCounterNonce of 8 to 128 bytes, not 0"):
        cipher(AES).prepare(KEY).encrypt(b"data", b"")


def test_ctr_needs_a_nonce_of_the_clients() -> None:
    ready = cipher(AES, Parameters(block_cipher_mode=Mode.CTR)).prepare(KEY)
    with pytest.raises(KmipError, match="without an IVCounterNonce is not supported"):
        ready.encrypt(b"data")


def test_a_counter_must_fit_beside_the_nonce() -> None:
    ctr = cipher(AES, Parameters(block_cipher_mode=Mode.CTR)).prepare(KEY)
    bare = cipher(CHACHA).prepare(KEY)
    for ready, nonce in ((ctr, bytes(15)), (bare, bytes(16))):
        with pytest.raises(KmipError, match="does not fit beside"):
            ready.encrypt(b"data", nonce, counter=256)
    with pytest.raises(KmipError, match="between 0 and"):
        ctr.encrypt(b"data", bytes(8), counter=-1)


def test_random_nonces_come_from_the_callers_source() -> None:
    assert cipher(AES).prepare(KEY).encrypt(b"", random=lambda size: b"n" * size).nonce == b"n" * 12
    stream = cipher(AES).prepare(KEY).encryptor(random=lambda size: b"n" * size)
    assert stream.nonce == b"n" * 12
    bare = cipher(CHACHA).prepare(KEY).encrypt(b"", random=lambda size: b"n" * size)
    assert bare.nonce == bytes(4) + b"n" * 12


def test_blocks_must_be_whole_without_padding() -> None:
    parameters = Parameters(block_cipher_mode=Mode.CBC, padding_method=Padding.NONE)
    ready = cipher(AES, parameters).prepare(KEY)
    with pytest.raises(KmipError, match="whole blocks"):
        ready.encrypt(b"x")
    with pytest.raises(KmipError, match=r"^CRYPTO: decryption failed$"):
        ready.decrypt(b"x", bytes(16))


def test_an_xts_key_has_two_different_halves_and_data_a_block() -> None:
    row = cipher(AES, Parameters(block_cipher_mode=Mode.XTS))
    with pytest.raises(KmipError, match="must differ"):
        row.prepare(bytes(32))
    with pytest.raises(KmipError, match="16 bytes to 16 MiB"):
        row.prepare(KEY).encrypt(b"short")


def test_bulk_items_are_nonce_ciphertext_and_tag() -> None:
    ready = cipher(AES).prepare(KEY)
    items = [b"", b"one", b"two" * 100]
    sealed = algorithms.encrypt_bulk(ready, build(items), b"aad")
    for item, box in zip(items, parse(sealed), strict=True):
        assert ready.decrypt(box[12:-16], box[:12], b"aad", box[-16:]) == item
    assert parse(algorithms.decrypt_bulk(ready, sealed, b"aad")) == items


def test_a_bulk_item_too_short_for_nonce_and_tag_is_a_failed_decryption() -> None:
    with pytest.raises(KmipError, match=r"^CRYPTO: decryption failed$"):
        algorithms.decrypt_bulk(cipher(AES).prepare(KEY), build([bytes(27)]))


def test_a_short_ccm_tag_must_be_announced() -> None:
    ready = cipher(AES, Parameters(block_cipher_mode=Mode.CCM)).prepare(KEY)
    for length in range(4, 17, 2):
        sealed = ready.encrypt(b"data", None, b"aad", length)
        assert len(sealed.tag) == length
        parts = (sealed.ciphertext, sealed.nonce, b"aad", sealed.tag)
        assert ready.decrypt(*parts, length) == b"data"
        if length < 8:
            with pytest.raises(KmipError, match="invalid tag length"):
                ready.decrypt(*parts)
        else:
            assert ready.decrypt(*parts) == b"data"


def test_ccm_data_is_limited_by_the_length_of_the_nonce() -> None:
    ready = cipher(AES, Parameters(block_cipher_mode=Mode.CCM)).prepare(KEY)
    largest = ready.encrypt(bytes(65535), bytes(13))
    assert ready.decrypt(largest.ciphertext, largest.nonce, b"", largest.tag) == bytes(65535)
    with pytest.raises(KmipError, match="data too large for AES-CCM"):
        ready.encrypt(bytes(65536), bytes(13))
    with pytest.raises(KmipError, match=r"^CRYPTO: decryption failed$"):
        ready.decrypt(bytes(65536), bytes(13), b"", bytes(16))
