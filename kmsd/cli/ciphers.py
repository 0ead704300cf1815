"""The symmetric algorithms as the command line names them, and encryption that flows.

A file is encrypted on this side piece by piece, so that its size does not matter. When one is
decrypted, the plaintext goes to a file that appears under its name only once the tag was right.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.poly1305 import Poly1305

from kmsd.cli.errors import CommandFailed
from kmsd.kmip.enums import BlockCipherMode, CryptographicAlgorithm
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import CryptographicParameters

HELD_BYTES = 256 << 20
"""The largest data of the two algorithms that need all of it at once."""


class Flow(Protocol):
    """Data going through a cipher, in one direction."""

    def update(self, data: bytes) -> bytes:
        """Take a piece; return what comes out of it."""

    def finish(self, tag: bytes = b"") -> tuple[bytes, bytes]:
        """Return the rest, and the tag when encrypting. Raises: CommandFailed: the tag is wrong."""


class Algorithm(NamedTuple):
    """One row: what to ask the server for, the sizes in bytes, and how it is done here."""

    algorithm: CryptographicAlgorithm
    mode: BlockCipherMode | None
    key_bytes: int
    nonce_bytes: int
    tag_bytes: int
    encrypting: Callable[[bytes, bytes, bytes], Flow]
    decrypting: Callable[[bytes, bytes, bytes], Flow]

    @property
    def parameters(self) -> CryptographicParameters:
        """The same for the server."""
        return CryptographicParameters(
            cryptographic_algorithm=self.algorithm, block_cipher_mode=self.mode
        )


class _Gcm:
    """AES-GCM. Source: SP 800-38D."""

    def __init__(self, context: Any, aad: bytes, *, encrypts: bool) -> None:
        self._context = context
        self._encrypts = encrypts
        context.authenticate_additional_data(aad)

    def update(self, data: bytes) -> bytes:
        return bytes(self._context.update(data))

    def finish(self, tag: bytes = b"") -> tuple[bytes, bytes]:
        if self._encrypts:
            rest = bytes(self._context.finalize())
            return rest, bytes(self._context.tag)
        try:
            return bytes(self._context.finalize_with_tag(tag)), b""
        except (InvalidTag, ValueError):
            raise wrong() from None


def _gcm_encrypting(key: bytes, nonce: bytes, aad: bytes) -> Flow:
    context = Cipher(algorithms.AES(key), modes.GCM(nonce)).encryptor()
    return _Gcm(context, aad, encrypts=True)


def _gcm_decrypting(key: bytes, nonce: bytes, aad: bytes) -> Flow:
    context = Cipher(algorithms.AES(key), modes.GCM(nonce)).decryptor()
    return _Gcm(context, aad, encrypts=False)


class _ChaCha20Poly1305:
    """ChaCha20-Poly1305 of its two parts: the library has it in one piece only. RFC 8439 §2.8."""

    _BLOCK = 64

    def __init__(self, key: bytes, nonce: bytes, aad: bytes, *, encrypts: bool) -> None:
        counter = bytes(4)
        self._context = Cipher(algorithms.ChaCha20(key, counter + nonce), None).encryptor()
        self._mac = Poly1305(bytes(self._context.update(bytes(self._BLOCK)))[:32])
        self._encrypts = encrypts
        self._aad_bytes, self._data_bytes = len(aad), 0
        self._mac.update(aad + bytes(-len(aad) % 16))

    def update(self, data: bytes) -> bytes:
        done = bytes(self._context.update(data))
        self._mac.update(done if self._encrypts else data)
        self._data_bytes += len(data)
        return done

    def finish(self, tag: bytes = b"") -> tuple[bytes, bytes]:
        lengths = self._aad_bytes.to_bytes(8, "little") + self._data_bytes.to_bytes(8, "little")
        self._mac.update(bytes(-self._data_bytes % 16) + lengths)
        made = self._mac.finalize()
        if not self._encrypts and not hmac.compare_digest(made, tag):
            raise wrong()
        return b"", made if self._encrypts else b""


def _chacha_encrypting(key: bytes, nonce: bytes, aad: bytes) -> Flow:
    return _ChaCha20Poly1305(key, nonce, aad, encrypts=True)


def _chacha_decrypting(key: bytes, nonce: bytes, aad: bytes) -> Flow:
    return _ChaCha20Poly1305(key, nonce, aad, encrypts=False)


class _Held:
    """An algorithm that needs all data at once: it is collected, up to a limit."""

    def __init__(
        self, mode: BlockCipherMode, key: bytes, nonce: bytes, aad: bytes, *, encrypts: bool
    ) -> None:
        self._mode, self._key, self._nonce, self._aad = mode, key, nonce, aad
        self._encrypts = encrypts
        self._data = bytearray()

    def update(self, data: bytes) -> bytes:
        self._data += data
        if len(self._data) > HELD_BYTES:
            raise CommandFailed(f"this algorithm takes {HELD_BYTES >> 20} MiB at most: use aes-gcm")
        return b""

    def finish(self, tag: bytes = b"") -> tuple[bytes, bytes]:
        from kmsd.crypto.algorithms import cipher

        parameters = CryptographicParameters(block_cipher_mode=self._mode)
        ready = cipher(CryptographicAlgorithm.AES, parameters).prepare(self._key)
        data = bytes(self._data)
        if not self._encrypts:
            try:
                return ready.decrypt(data, self._nonce, self._aad, tag), b""
            except KmipError:
                raise wrong() from None
        made = ready.encrypt(data, self._nonce, self._aad)
        return made.ciphertext, made.tag


def _held(mode: BlockCipherMode, *, encrypts: bool) -> Callable[[bytes, bytes, bytes], Flow]:
    return lambda key, nonce, aad: _Held(mode, key, nonce, aad, encrypts=encrypts)


_GCM_SIV, _XTS = BlockCipherMode.GCM_SIV, BlockCipherMode.XTS
DATA_ALGORITHMS = {
    "aes-gcm": Algorithm(
        CryptographicAlgorithm.AES,
        BlockCipherMode.GCM,
        32,
        12,
        16,
        _gcm_encrypting,
        _gcm_decrypting,
    ),
    "aes-xts": Algorithm(
        CryptographicAlgorithm.AES,
        _XTS,
        64,
        16,
        0,
        _held(_XTS, encrypts=True),
        _held(_XTS, encrypts=False),
    ),
    "aes-gcm-siv": Algorithm(
        CryptographicAlgorithm.AES,
        _GCM_SIV,
        32,
        12,
        16,
        _held(_GCM_SIV, encrypts=True),
        _held(_GCM_SIV, encrypts=False),
    ),
    "chacha20-poly1305": Algorithm(
        CryptographicAlgorithm.CHACHA20_POLY1305,
        None,
        32,
        12,
        16,
        _chacha_encrypting,
        _chacha_decrypting,
    ),
}
"""What encrypts data. Source: the product, 4.22."""


class KeyAlgorithm(NamedTuple):
    """What the server encrypts a data key with: its parameters, and the sizes of its parts."""

    parameters: CryptographicParameters
    nonce_bytes: int
    tag_bytes: int


KEY_ALGORITHMS = {
    name: KeyAlgorithm(row.parameters, row.nonce_bytes, row.tag_bytes)
    for name, row in DATA_ALGORITHMS.items()
} | {
    "rfc5649": KeyAlgorithm(
        CryptographicParameters(
            cryptographic_algorithm=CryptographicAlgorithm.AES,
            block_cipher_mode=BlockCipherMode.AES_KEY_WRAP_PADDING,
        ),
        0,
        0,
    )
}


def new_key(row: Algorithm) -> bytes:
    """Return a random data key."""
    return os.urandom(row.key_bytes)


def wrong() -> CommandFailed:
    """Return the error for data that does not decrypt: why is not told."""
    return CommandFailed(
        "the data cannot be decrypted: is it whole, and are key, algorithm and"
        " authentication data the ones it was encrypted with?"
    )
