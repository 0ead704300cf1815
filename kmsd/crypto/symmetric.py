"""Authenticated ciphers: AES-GCM, AES-GCM-SIV, AES-CCM, ChaCha20-Poly1305."""

import dataclasses
import functools
import hmac
import os
from collections.abc import Callable
from typing import Any, Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher as Context
from cryptography.hazmat.primitives.ciphers import algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import (
    AESCCM,
    AESGCM,
    AESGCMSIV,
    ChaCha20Poly1305,
)
from typing_extensions import override

from kmsd.crypto.errors import bad_parameters, bad_tag_length, decryption_failed
from kmsd.crypto.interfaces import Cipher, Encrypted, Encryptor, Random, ReadyCipher


class _Primitive(Protocol):
    """What the library's authenticated ciphers have in common."""

    def encrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...
    def decrypt(self, nonce: bytes, data: bytes, associated_data: bytes | None, /) -> bytes: ...


class Aead(ReadyCipher):
    """A cipher with a tag of 16 bytes that is never shortened."""

    __slots__ = ("_primitive",)

    def __init__(self, cipher: Cipher, primitive: _Primitive) -> None:
        super().__init__(cipher)
        self._primitive = primitive

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
        cipher = self.cipher
        if nonce is None:
            nonce = random(cipher.nonce_size)
        elif len(nonce) not in cipher.nonce_sizes:
            nonce = self.nonce_of(nonce)
        if tag_length is not None and tag_length not in cipher.tag_sizes:
            raise bad_tag_length(tag_length, cipher.tag_sizes)
        try:
            sealed = self._primitive.encrypt(nonce, data, aad)
        except (ValueError, OverflowError) as error:
            raise bad_parameters(f"data too large for {cipher.name}") from error
        body = len(data)
        tag = sealed[body:] if tag_length is None else sealed[body : body + tag_length]
        return Encrypted(sealed[:body], nonce, tag)

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
        cipher = self.cipher
        if nonce is None or len(nonce) not in cipher.nonce_sizes:
            nonce = self.nonce_of(nonce)
        allowed = cipher.tag_sizes
        if tag_length is None:
            allowed = cipher.implicit_tag_sizes or allowed
        elif tag_length not in allowed:
            raise bad_tag_length(tag_length, allowed)
        else:
            allowed = frozenset({tag_length})
        if len(tag) not in allowed:
            raise bad_tag_length(len(tag), allowed)
        try:
            return self._open(data, nonce, aad, tag)
        except (InvalidTag, ValueError, OverflowError):
            raise decryption_failed() from None

    def _open(self, data: bytes, nonce: bytes, aad: bytes, tag: bytes) -> bytes:
        """Decrypt; every size has been checked."""
        return self._primitive.decrypt(nonce, data + tag, aad)


class Shortened(Aead):
    """A stream cipher with a tag of 16 bytes of which the first 12 and more may stand for all."""

    __slots__ = ()

    @override
    def _open(self, data: bytes, nonce: bytes, aad: bytes, tag: bytes) -> bytes:
        if len(tag) == self.cipher.tag_size:
            return self._primitive.decrypt(nonce, data + tag, aad)
        # The one-shot interface knows full tags only. Encrypting the ciphertext turns it into the
        # plaintext (the cipher is a key stream), encrypting that again yields the full tag.
        plain = self._primitive.encrypt(nonce, data, aad)[: len(data)]
        full = self._primitive.encrypt(nonce, plain, aad)[len(data) :]
        if not hmac.compare_digest(full[: len(tag)], tag):
            raise InvalidTag
        return plain


class Gcm(Shortened):
    """AES-GCM: tags may be truncated to 12 bytes, and encryption flows. Source: SP 800-38D."""

    __slots__ = ("_key",)

    def __init__(self, cipher: Cipher, key: bytes) -> None:
        super().__init__(cipher, AESGCM(key))
        self._key = key

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
        if tag_length is not None and tag_length not in self.cipher.tag_sizes:
            raise bad_tag_length(tag_length, self.cipher.tag_sizes)
        nonce = self.nonce_for(nonce, random)
        context = Context(algorithms.AES(self._key), modes.GCM(nonce)).encryptor()
        context.authenticate_additional_data(aad)
        return _GcmEncryptor(context, nonce, tag_length or self.cipher.tag_size)


class _GcmEncryptor:
    """An AES-GCM encryption in parts."""

    __slots__ = ("_context", "_tag_length", "nonce")

    def __init__(self, context: Any, nonce: bytes, tag_length: int) -> None:
        self._context, self.nonce, self._tag_length = context, nonce, tag_length

    def update(self, data: bytes) -> bytes:
        return bytes(self._context.update(data))

    def finalize(self, data: bytes = b"") -> Encrypted:
        rest = bytes(self._context.update(data)) + bytes(self._context.finalize())
        return Encrypted(rest, self.nonce, bytes(self._context.tag)[: self._tag_length])


class Ccm(Aead):
    """AES-CCM: the tag's length is part of the computation. Source: SP 800-38C."""

    __slots__ = ("_sized",)

    def __init__(self, cipher: Cipher, key: bytes) -> None:
        super().__init__(cipher, AESCCM(key))
        self._sized: Callable[[int], Aead] = functools.cache(
            functools.partial(_ccm_of_tag_size, cipher, key)
        )

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
        if len(data) > _ccm_limit(nonce):
            raise bad_parameters(f"data too large for {self.cipher.name} with this IVCounterNonce")
        if tag_length in {None, self.cipher.tag_size} or tag_length not in self.cipher.tag_sizes:
            return super().encrypt(data, nonce, aad, tag_length)
        return self._sized(tag_length).encrypt(data, nonce, aad)

    @override
    def _open(self, data: bytes, nonce: bytes, aad: bytes, tag: bytes) -> bytes:
        if len(data) > _ccm_limit(nonce):
            raise InvalidTag
        if len(tag) == self.cipher.tag_size:
            return super()._open(data, nonce, aad, tag)
        return self._sized(len(tag)).decrypt(data, nonce, aad, tag)


def _ccm_limit(nonce: bytes) -> int:
    """Return the most bytes of data beside this nonce: the two share a block. SP 800-38C §A.1.

    The library lets one byte more through, and then fails as if it were broken.
    """
    return (1 << 8 * (15 - len(nonce))) - 1


def _ccm_of_tag_size(cipher: Cipher, key: bytes, size: int) -> Aead:
    """Make the same cipher for tags of another size; the library fixes it with the key."""
    row = dataclasses.replace(
        cipher, tag_size=size, tag_sizes=frozenset({size}), implicit_tag_sizes=None
    )
    return Aead(row, AESCCM(key, size))


def gcm_sp800_38d(cipher: Cipher, key: bytes) -> ReadyCipher:
    """Make an AES-GCM key ready. Source: SP 800-38D."""
    return Gcm(cipher, key)


def gcm_siv_rfc8452(cipher: Cipher, key: bytes) -> ReadyCipher:
    """Make an AES-GCM-SIV key ready. Source: RFC 8452."""
    return Aead(cipher, AESGCMSIV(key))


def ccm_sp800_38c(cipher: Cipher, key: bytes) -> ReadyCipher:
    """Make an AES-CCM key ready. Source: SP 800-38C."""
    return Ccm(cipher, key)


def chacha20_poly1305_rfc8439(cipher: Cipher, key: bytes) -> ReadyCipher:
    """Make a ChaCha20-Poly1305 key ready. Source: RFC 8439."""
    return Shortened(cipher, ChaCha20Poly1305(key))
