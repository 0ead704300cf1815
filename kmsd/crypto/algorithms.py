"""The table of symmetric ciphers, and which row a request means.

Mode, padding and the generation of the product decide; the key's own algorithm counts only where
no mode is asked for (a ChaCha20-Poly1305 key used in mode GCM is an AES-256 key: clients do that).
"""

import functools
import os

from kmsd.crypto import block_modes, symmetric
from kmsd.crypto.bulk import build, parse
from kmsd.crypto.errors import decryption_failed, unsupported
from kmsd.crypto.interfaces import Cipher, Random, ReadyCipher
from kmsd.kmip.enums import BlockCipherMode as Mode
from kmsd.kmip.enums import CryptographicAlgorithm as Algorithm
from kmsd.kmip.enums import PaddingMethod as Padding
from kmsd.kmip.structures import CryptographicParameters

_AES = frozenset({16, 24, 32})
_TAGS = frozenset({16})
_GCM_NONCES = range(8, 129)
"""SP 800-38D allows 1 to 2^61 - 1 bytes; the library these, and shorter ones are unsafe."""

# A table; each row of it is one cipher.
# fmt: off
_cbc = functools.partial(
    Cipher, name="AES-CBC", algorithm=Algorithm.AES, mode=Mode.CBC, make=block_modes.aes_sp800_38a,
    key_sizes=_AES, nonce_size=16, nonce_sizes=frozenset({16}), zero_nonce=True)
_ecb = functools.partial(
    Cipher, name="AES-ECB", algorithm=Algorithm.AES, mode=Mode.ECB, make=block_modes.aes_sp800_38a,
    key_sizes=_AES, legacy=True)
_des = functools.partial(
    Cipher, algorithm=Algorithm.THREE_DES, make=block_modes.triple_des_sp800_67,
    key_sizes=frozenset({16, 24}), legacy=True)
_des_cbc = functools.partial(
    _des, name="3DES-CBC", mode=Mode.CBC, nonce_size=8, nonce_sizes=frozenset({8}), zero_nonce=True)
_des_ecb = functools.partial(_des, name="3DES-ECB", mode=Mode.ECB)

CIPHERS = (
    Cipher(name="AES-GCM", algorithm=Algorithm.AES, mode=Mode.GCM, make=symmetric.gcm_sp800_38d,
           key_sizes=_AES, nonce_size=12, nonce_sizes=_GCM_NONCES,
           tag_size=16, tag_sizes=frozenset(range(12, 17))),
    Cipher(name="AES-GCM-SIV", algorithm=Algorithm.AES, mode=Mode.GCM_SIV,
           make=symmetric.gcm_siv_rfc8452, key_sizes=frozenset({16, 32}),
           nonce_size=12, nonce_sizes=frozenset({12}), tag_size=16, tag_sizes=_TAGS),
    Cipher(name="AES-CCM", algorithm=Algorithm.AES, mode=Mode.CCM, make=symmetric.ccm_sp800_38c,
           key_sizes=_AES, nonce_size=12, nonce_sizes=range(7, 14),
           tag_size=16, tag_sizes=frozenset(range(4, 17, 2)),
           implicit_tag_sizes=frozenset(range(8, 17, 2))),  # SP 800-38C: shorter on demand only
    _cbc(padding=Padding.PKCS5),
    _cbc(padding=Padding.ANSI_X923),
    _cbc(padding=Padding.NONE),
    _ecb(padding=Padding.NONE),
    _ecb(padding=Padding.PKCS5),
    Cipher(name="AES-CTR", algorithm=Algorithm.AES, mode=Mode.CTR, make=block_modes.ctr_sp800_38a,
           key_sizes=_AES, nonce_size=16, nonce_sizes=range(8, 17), server_nonce=False),
    Cipher(name="AES-XTS", algorithm=Algorithm.AES, mode=Mode.XTS, make=block_modes.xts_sp800_38e,
           key_sizes=frozenset({32, 64}), nonce_size=16, nonce_sizes=range(1, 17)),
    Cipher(name="AES-KW", algorithm=Algorithm.AES, mode=Mode.NIST_KEY_WRAP,
           make=block_modes.kw_rfc3394, key_sizes=_AES),
    Cipher(name="AES-KWP", algorithm=Algorithm.AES, mode=Mode.AES_KEY_WRAP_PADDING,
           make=block_modes.kwp_rfc5649, key_sizes=_AES),
    Cipher(name="ChaCha20", algorithm=Algorithm.CHACHA20, mode=None,
           make=block_modes.chacha20_rfc8439, key_sizes=frozenset({32}),
           nonce_size=16, nonce_sizes=frozenset({8, 12, 16})),
    Cipher(name="ChaCha20-Poly1305", algorithm=Algorithm.CHACHA20_POLY1305, mode=Mode.AEAD,
           make=symmetric.chacha20_poly1305_rfc8439, key_sizes=frozenset({32}),
           nonce_size=12, nonce_sizes=frozenset({12}),
           tag_size=16, tag_sizes=frozenset(range(12, 17))),
    _des_cbc(padding=Padding.PKCS5),
    _des_cbc(padding=Padding.NONE),
    _des_ecb(padding=Padding.NONE),
    _des_ecb(padding=Padding.PKCS5),
)
# fmt: on
"""Every symmetric cipher. The first row of an algorithm and mode has the default padding."""

_ROWS = {(row.algorithm, row.mode, row.padding): row for row in CIPHERS}
_DEFAULT_PADDING: dict[tuple[Algorithm, Mode | None], Padding | None] = {}
for _row in CIPHERS:
    _DEFAULT_PADDING.setdefault((_row.algorithm, _row.mode), _row.padding)

_CHACHA = {Algorithm.CHACHA20, Algorithm.CHACHA20_POLY1305}
_DEFAULT_MODE = {Algorithm.AES: Mode.GCM, Algorithm.THREE_DES: Mode.CBC}
_OLD_GENERATION = 4
_MODES_4 = {Mode.NIST_KEY_WRAP: Mode.AES_KEY_WRAP_PADDING}
"""NISTKeyWrap named the padded algorithm until the product's version 5."""
_MODES = {Mode.AEAD: Mode.GCM, Mode.LEGACY_NIST_KEY_WRAP: Mode.AES_KEY_WRAP_PADDING}


def cipher(
    algorithm: Algorithm | None,
    parameters: CryptographicParameters | None = None,
    *,
    generation: int = 5,
) -> Cipher:
    """Return the row that a key's `algorithm` and a request's `parameters` mean.

    Args:
        algorithm: of the key; None counts as AES.
        parameters: of the request, or of the key where the request has none.
        generation: 4 for what a 4.x client sent: ChaCha20 is then the authenticated cipher and
            NISTKeyWrap the padded one.

    Raises:
        KmipError: UNSUPPORTED_CRYPTOGRAPHIC_PARAMETERS.

    Source: KMIP 2.1 §4.16; the product's clients.
    """
    asked, mode, padding = None, None, None
    if parameters is not None:
        asked, mode = parameters.cryptographic_algorithm, parameters.block_cipher_mode
        padding = parameters.padding_method
    return _row_for(algorithm, asked, mode, padding, generation)


@functools.cache
def _row_for(
    algorithm: Algorithm | None,
    asked: Algorithm | None,
    mode: Mode | None,
    padding: Padding | None,
    generation: int,
) -> Cipher:
    """Find the row; cached, as there are few combinations and all come from enumerations."""
    algorithm = _algorithm(algorithm, asked, mode)
    if algorithm in _CHACHA:
        return _chacha(algorithm, mode, generation)
    mode = mode or _DEFAULT_MODE.get(algorithm)
    if generation == _OLD_GENERATION and mode is not None:
        mode = _MODES_4.get(mode, mode)
    mode = _MODES.get(mode, mode) if mode is not None else None
    default = _DEFAULT_PADDING.get((algorithm, mode), Padding.NONE)
    row = _ROWS.get((algorithm, mode, (padding or default) if default else None))
    if row is None:
        raise unsupported(_words(algorithm, mode, padding))
    return row


def _algorithm(
    algorithm: Algorithm | None, asked: Algorithm | None, mode: Mode | None
) -> Algorithm:
    """Choose the algorithm: what was asked for, else the key's, but never against the mode."""
    chosen = asked or algorithm or Algorithm.AES
    if chosen in _CHACHA and mode not in {None, Mode.AEAD}:
        return Algorithm.AES
    return chosen


def _chacha(algorithm: Algorithm, mode: Mode | None, generation: int) -> Cipher:
    aead = algorithm is Algorithm.CHACHA20_POLY1305 or mode is Mode.AEAD
    if aead or generation == _OLD_GENERATION:
        return _ROWS[Algorithm.CHACHA20_POLY1305, Mode.AEAD, None]
    return _ROWS[Algorithm.CHACHA20, None, None]


def _words(algorithm: Algorithm, mode: Mode | None, padding: Padding | None) -> str:
    parts = [algorithm.wire_name, mode and mode.wire_name, padding and padding.wire_name]
    return "encryption with " + ", ".join(part for part in parts if part)


def encrypt_bulk(
    ready: ReadyCipher, data: bytes, aad: bytes = b"", random: Random = os.urandom
) -> bytes:
    """Encrypt each item of a BulkData to nonce, ciphertext and tag in a row."""
    return build([b"".join(_flat(ready, item, aad, random)) for item in parse(data)])


def _flat(
    ready: ReadyCipher, item: bytes, aad: bytes, random: Random
) -> tuple[bytes, bytes, bytes]:
    ciphertext, nonce, tag = ready.encrypt(item, None, aad, random=random)
    return nonce, ciphertext, tag


def decrypt_bulk(ready: ReadyCipher, data: bytes, aad: bytes = b"") -> bytes:
    """Decrypt what `encrypt_bulk` made.

    The product ignores `aad` here although it honours it when it encrypts; pass b"" for that.
    """
    row = ready.cipher
    items = []
    for item in parse(data):
        body = len(item) - row.tag_size
        if body < row.nonce_size:
            raise decryption_failed()
        nonce, tag = item[: row.nonce_size], item[body:]
        items.append(ready.decrypt(item[row.nonce_size : body], nonce, aad, tag))
    return build(items)
