"""Ciphers without authentication: AES and 3DES in ECB, CBC and CTR, XTS, bare ChaCha20, key wrap.

They are there because clients of KMIP ask for them. A wrong key shows, if at all, as a wrong
padding, and that reads like every other failed decryption.
"""

import hmac
import os
from collections.abc import Callable
from typing import Any, Protocol

from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import (
    BlockCipherAlgorithm,
    CipherAlgorithm,
    CipherContext,
    algorithms,
    modes,
)
from cryptography.hazmat.primitives.ciphers import Cipher as Context
from typing_extensions import override

from kmsd.crypto import keywrap
from kmsd.crypto.errors import bad_parameters, decryption_failed
from kmsd.crypto.interfaces import (
    Cipher,
    Decryptor,
    Encrypted,
    Encryptor,
    Random,
    ReadyCipher,
)
from kmsd.kmip.enums import BlockCipherMode, PaddingMethod

_CHACHA20_BLOCK = 16
_TWEAK = 16
_TWO_KEY_TRIPLE_DES = 16


class _Filter(Protocol):
    """A step of a stream: a cipher, a padder, an unpadder."""

    def update(self, data: bytes, /) -> bytes: ...
    def finalize(self) -> bytes: ...


class Flowing(ReadyCipher):
    """A cipher that works piece by piece: a context of the library, with padding before or after.

    `mode_for` makes the library's mode for a nonce and a counter; `padder` is a padding scheme.
    """

    __slots__ = ("_algorithm", "_mode_for", "_padding")

    def __init__(
        self,
        cipher: Cipher,
        algorithm: CipherAlgorithm,
        mode_for: Callable[[bytes], modes.Mode | None],
        scheme: padding.PKCS7 | padding.ANSIX923 | None = None,
    ) -> None:
        super().__init__(cipher)
        self._algorithm, self._mode_for, self._padding = algorithm, mode_for, scheme

    @override
    def encrypt(
        self,
        data: bytes,
        nonce: bytes | None = None,
        aad: bytes = b"",
        tag_length: int | None = None,
        *,
        counter: int | None = None,
        random: Random = os.urandom,
    ) -> Encrypted:
        return self.encryptor(nonce, aad, tag_length, counter=counter, random=random).finalize(data)

    @override
    def decrypt(
        self,
        data: bytes,
        nonce: bytes | None = None,
        aad: bytes = b"",
        tag: bytes = b"",
        tag_length: int | None = None,
        *,
        counter: int | None = None,
    ) -> bytes:
        return self.decryptor(nonce, aad, tag_length, counter=counter).finalize(data, tag)

    @override
    def encryptor(
        self,
        nonce: bytes | None = None,
        aad: bytes = b"",
        tag_length: int | None = None,
        *,
        counter: int | None = None,
        random: Random = os.urandom,
    ) -> Encryptor:
        nonce = self.nonce_for(nonce, random)
        context = self._context(nonce, counter).encryptor()
        steps: list[_Filter] = [self._padding.padder(), context] if self._padding else [context]
        return _Encryptor(self.cipher, steps, nonce)

    @override
    def decryptor(
        self,
        nonce: bytes | None = None,
        aad: bytes = b"",
        tag_length: int | None = None,
        *,
        counter: int | None = None,
    ) -> Decryptor:
        context = self._context(self.nonce_of(nonce), counter).decryptor()
        steps: list[_Filter] = [context, self._padding.unpadder()] if self._padding else [context]
        return _Decryptor(steps)

    def _context(self, nonce: bytes, counter: int | None) -> Context[Any]:
        if counter is not None and not 0 <= counter < 1 << 64:
            raise bad_parameters("an InitialCounterValue is between 0 and 2^64 - 1")
        return Context(self._algorithm, self._mode_for(self._block(nonce, counter or 0)))

    def _block(self, nonce: bytes, counter: int) -> bytes:  # noqa: ARG002 - for the counter modes
        """Make the library's initialization vector."""
        return nonce


class Ctr(Flowing):
    """AES-CTR: 16 bytes are the first counter block, fewer are completed by the counter."""

    __slots__ = ()

    @override
    def _block(self, nonce: bytes, counter: int) -> bytes:
        room = 16 - len(nonce)
        if not room:
            return ((int.from_bytes(nonce) + counter) % (1 << 128)).to_bytes(16)
        if counter >> 8 * room:
            raise bad_parameters("the InitialCounterValue does not fit beside the IVCounterNonce")
        return nonce + counter.to_bytes(room)


class ChaCha20(Flowing):
    """Bare ChaCha20: a nonce of 8 or 12 bytes after the counter, or both in 16. RFC 8439 §2.4."""

    __slots__ = ("_key",)

    def __init__(self, cipher: Cipher, key: bytes) -> None:
        super().__init__(cipher, algorithms.ChaCha20(key, bytes(_CHACHA20_BLOCK)), lambda _: None)
        self._key = key

    @override
    def _context(self, nonce: bytes, counter: int | None) -> Context[Any]:
        room = _CHACHA20_BLOCK - len(nonce)
        if counter is not None and not 0 <= counter < 1 << 8 * room:
            raise bad_parameters("the InitialCounterValue does not fit beside the IVCounterNonce")
        block = (counter or 0).to_bytes(room, "little") + nonce
        return Context(algorithms.ChaCha20(self._key, block), None)

    @override
    def nonce_for(self, nonce: bytes | None, random: Random) -> bytes:
        """Put a zero counter before a random nonce, so that every library can take the whole."""
        return super().nonce_for(nonce, lambda size: bytes(4) + random(size - 4))


class _Encryptor:
    """A chain of filters that ends in ciphertext."""

    __slots__ = ("_cipher", "_steps", "nonce")

    def __init__(self, cipher: Cipher, steps: list[_Filter], nonce: bytes) -> None:
        self._cipher, self._steps, self.nonce = cipher, steps, nonce

    def update(self, data: bytes) -> bytes:
        for step in self._steps:
            data = step.update(data)
        return data

    def finalize(self, data: bytes = b"") -> Encrypted:
        try:
            return Encrypted(_finish(self._steps, data), self.nonce, b"")
        except ValueError as error:
            raise bad_parameters(
                f"the data for {self._cipher.name} must fill whole blocks"
            ) from error


class _Decryptor:
    """A chain of filters that ends in plaintext."""

    __slots__ = ("_steps",)

    def __init__(self, steps: list[_Filter]) -> None:
        self._steps = steps

    def update(self, data: bytes) -> bytes:
        for step in self._steps:
            data = step.update(data)
        return data

    def finalize(self, data: bytes = b"", tag: bytes = b"") -> bytes:  # noqa: ARG002 - no tag
        try:
            return _finish(self._steps, data)
        except ValueError:
            raise decryption_failed() from None


def _finish(steps: list[_Filter], data: bytes) -> bytes:
    """Push the last part through, then close the filters one after the other."""
    for step in steps:
        data = step.update(data) + step.finalize()
    return data


class Xts(ReadyCipher):
    """AES-XTS: one data unit, under a tweak of 16 bytes or a shorter little-endian number.

    Source: SP 800-38E, IEEE 1619 §5.1.
    """

    __slots__ = ("_algorithm",)

    def __init__(self, cipher: Cipher, key: bytes) -> None:
        super().__init__(cipher)
        half = len(key) // 2
        if hmac.compare_digest(key[:half], key[half:]):
            raise bad_parameters("the two halves of an XTS key must differ")
        self._algorithm = algorithms.AES(key)

    @override
    def encrypt(
        self,
        data: bytes,
        nonce: bytes | None = None,
        aad: bytes = b"",
        tag_length: int | None = None,
        *,
        counter: int | None = None,
        random: Random = os.urandom,
    ) -> Encrypted:
        nonce = self.nonce_for(nonce, random)
        self._check(data)
        context = Context(self._algorithm, modes.XTS(nonce.ljust(_TWEAK, b"\0"))).encryptor()
        return Encrypted(_all(context, data), nonce, b"")

    @override
    def decrypt(
        self,
        data: bytes,
        nonce: bytes | None = None,
        aad: bytes = b"",
        tag: bytes = b"",
        tag_length: int | None = None,
        *,
        counter: int | None = None,
    ) -> bytes:
        nonce = self.nonce_of(nonce)
        self._check(data)
        mode = modes.XTS(nonce.ljust(_TWEAK, b"\0"))
        return _all(Context(self._algorithm, mode).decryptor(), data)

    def _check(self, data: bytes) -> None:
        if not _TWEAK <= len(data) <= 16 << 20:
            raise bad_parameters("an XTS data unit has 16 bytes to 16 MiB")


def _all(context: CipherContext, data: bytes) -> bytes:
    return context.update(data) + context.finalize()


class KeyWrap(ReadyCipher):
    """RFC 3394 or RFC 5649 as if they were ciphers: no nonce, no tag, but integrity."""

    __slots__ = ("_key", "_unwrap", "_wrap")

    def __init__(
        self,
        cipher: Cipher,
        key: bytes,
        wrap: Callable[[bytes, bytes], bytes],
        unwrap: Callable[[bytes, bytes], bytes],
    ) -> None:
        super().__init__(cipher)
        self._key, self._wrap, self._unwrap = key, wrap, unwrap

    @override
    def encrypt(
        self,
        data: bytes,
        nonce: bytes | None = None,
        aad: bytes = b"",
        tag_length: int | None = None,
        *,
        counter: int | None = None,
        random: Random = os.urandom,
    ) -> Encrypted:
        return Encrypted(self._wrap(self._key, data), b"", b"")

    @override
    def decrypt(
        self,
        data: bytes,
        nonce: bytes | None = None,
        aad: bytes = b"",
        tag: bytes = b"",
        tag_length: int | None = None,
        *,
        counter: int | None = None,
    ) -> bytes:
        return self._unwrap(self._key, data)


def _padding_of(cipher: Cipher, block_bits: int) -> padding.PKCS7 | padding.ANSIX923 | None:
    if cipher.padding is PaddingMethod.PKCS5:
        return padding.PKCS7(block_bits)
    if cipher.padding is PaddingMethod.ANSI_X923:
        return padding.ANSIX923(block_bits)
    return None


def _block(cipher: Cipher, algorithm: BlockCipherAlgorithm) -> Flowing:
    scheme = _padding_of(cipher, algorithm.block_size)
    if cipher.mode is BlockCipherMode.ECB:
        return Flowing(cipher, algorithm, lambda _: modes.ECB(), scheme)  # noqa: S305 - asked for
    return Flowing(cipher, algorithm, modes.CBC, scheme)


def aes_sp800_38a(cipher: Cipher, key: bytes) -> ReadyCipher:
    """Make an AES key ready for ECB or CBC. Source: SP 800-38A."""
    return _block(cipher, algorithms.AES(key))


def triple_des_sp800_67(cipher: Cipher, key: bytes) -> ReadyCipher:
    """Make a 3DES key of 16 (two keys) or 24 bytes ready for ECB or CBC. Source: SP 800-67."""
    return _block(cipher, TripleDES(key + key[:8] if len(key) == _TWO_KEY_TRIPLE_DES else key))


def ctr_sp800_38a(cipher: Cipher, key: bytes) -> ReadyCipher:
    """Make an AES key ready for CTR. Source: SP 800-38A §6.5."""
    return Ctr(cipher, algorithms.AES(key), modes.CTR)


def xts_sp800_38e(cipher: Cipher, key: bytes) -> ReadyCipher:
    """Make an AES key pair ready for XTS. Source: SP 800-38E."""
    return Xts(cipher, key)


def chacha20_rfc8439(cipher: Cipher, key: bytes) -> ReadyCipher:
    """Make a key ready for the bare stream cipher. Source: RFC 8439 §2.4."""
    return ChaCha20(cipher, key)


def kw_rfc3394(cipher: Cipher, key: bytes) -> ReadyCipher:
    """Make a key-encryption key ready. Source: RFC 3394."""
    return KeyWrap(cipher, key, keywrap.rfc3394_wrap, keywrap.rfc3394_unwrap)


def kwp_rfc5649(cipher: Cipher, key: bytes) -> ReadyCipher:
    """Make a key-encryption key ready, for data of any length. Source: RFC 5649."""
    return KeyWrap(cipher, key, keywrap.rfc5649_wrap, keywrap.rfc5649_unwrap)
