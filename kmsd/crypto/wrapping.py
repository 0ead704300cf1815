"""Wrapping key bytes under another key, as CryptographicParameters say. Source: KMIP 2.1 §3.3."""

import os
from collections.abc import Callable
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from kmsd.crypto import asymmetric
from kmsd.crypto.errors import bad_parameters, decryption_failed, unsupported
from kmsd.crypto.interfaces import Random
from kmsd.crypto.keys import PrivateKey, PublicKey
from kmsd.crypto.keywrap import (
    KEK_SIZES,
    rfc3394_unwrap,
    rfc3394_wrap,
    rfc5649_unwrap,
    rfc5649_wrap,
)
from kmsd.kmip.enums import BlockCipherMode as Mode
from kmsd.kmip.structures import CryptographicParameters

_NONCE, _TAG = 12, 16
_OLD_GENERATION = 4


class _Row(NamedTuple):
    """How to wrap and unwrap: (kek, data, aad, random) and (kek, wrapped, aad)."""

    wrap: Callable[[bytes, bytes, bytes, Random], bytes]
    unwrap: Callable[[bytes, bytes, bytes], bytes]


def gcm_wrap(kek: bytes, key: bytes, aad: bytes = b"", random: Random = os.urandom) -> bytes:
    """Wrap with AES-GCM: nonce (12 bytes), ciphertext, tag (16). Source: the product."""
    _check(kek)
    nonce = random(_NONCE)
    return nonce + AESGCM(kek).encrypt(nonce, key, aad)


def gcm_unwrap(kek: bytes, wrapped: bytes, aad: bytes = b"") -> bytes:
    """Unwrap what `gcm_wrap` made."""
    _check(kek)
    if len(wrapped) < _NONCE + _TAG:
        raise decryption_failed()
    try:
        return AESGCM(kek).decrypt(wrapped[:_NONCE], wrapped[_NONCE:], aad)
    except InvalidTag:
        raise decryption_failed() from None


_KW = _Row(
    lambda kek, key, _, __: rfc3394_wrap(kek, key),
    lambda kek, wrapped, _: rfc3394_unwrap(kek, wrapped),
)
_KWP = _Row(
    lambda kek, key, _, __: rfc5649_wrap(kek, key),
    lambda kek, wrapped, _: rfc5649_unwrap(kek, wrapped),
)
_GCM = _Row(gcm_wrap, gcm_unwrap)
_ROWS: dict[Mode | None, _Row] = {
    None: _KWP,
    Mode.NIST_KEY_WRAP: _KW,
    Mode.AES_KEY_WRAP_PADDING: _KWP,
    Mode.LEGACY_NIST_KEY_WRAP: _KWP,
    Mode.GCM: _GCM,
    Mode.AEAD: _GCM,
}
"""The ways an AES key wraps; the product's default takes keys of any length."""


def wrap(
    wrapping_key: bytes | PublicKey,
    plain: bytes,
    parameters: CryptographicParameters | None = None,
    *,
    aad: bytes = b"",
    generation: int = 5,
    random: Random = os.urandom,
) -> bytes:
    """Wrap `plain`, the bytes of a key.

    Args:
        wrapping_key: an AES key, or a public key (RSA, NIST curve, X25519, Ed25519).
        plain: what `formats.wrapped_form` gives for keys of a pair.
        parameters: mode for AES, padding and hash for RSA.
        aad: for GCM.
        generation: 4: NISTKeyWrap means RFC 5649.
        random: source of nonces.

    Raises:
        KmipError: UNSUPPORTED_… or BAD_CRYPTOGRAPHIC_PARAMETERS.
    """
    if isinstance(wrapping_key, bytes):
        return _row(parameters, generation).wrap(wrapping_key, plain, aad, random)
    _refuse_mode(parameters)
    return asymmetric.encrypt(wrapping_key, plain, parameters, random)


def unwrap(
    wrapping_key: bytes | PrivateKey,
    wrapped: bytes,
    parameters: CryptographicParameters | None = None,
    *,
    aad: bytes = b"",
    generation: int = 5,
) -> bytes:
    """Unwrap what `wrap` made with the same parameters.

    Raises:
        KmipError: CRYPTOGRAPHIC_FAILURE in one text for every wrong key and wrong byte.
    """
    if isinstance(wrapping_key, bytes):
        return _row(parameters, generation).unwrap(wrapping_key, wrapped, aad)
    _refuse_mode(parameters)
    return asymmetric.decrypt(wrapping_key, wrapped, parameters)


def _row(parameters: CryptographicParameters | None, generation: int) -> _Row:
    mode = parameters.block_cipher_mode if parameters else None
    if generation == _OLD_GENERATION and mode is Mode.NIST_KEY_WRAP:
        return _KWP
    found = _ROWS.get(mode)
    if found is None:
        raise unsupported(f"wrapping in mode {mode.wire_name if mode else ''}")
    return found


def _refuse_mode(parameters: CryptographicParameters | None) -> None:
    if parameters and parameters.block_cipher_mode is not None:
        raise bad_parameters("a BlockCipherMode is for symmetric wrapping keys only")


def _check(kek: bytes) -> None:
    if len(kek) not in KEK_SIZES:
        raise bad_parameters(f"an AES key has 16, 24 or 32 bytes, not {len(kek)}")
