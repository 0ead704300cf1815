"""What a symmetric cipher is to its callers: a row of the table, a ready key, two streams."""

import abc
import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from kmsd.crypto.errors import bad_parameters, missing_iv, sizes
from kmsd.kmip.enums import BlockCipherMode, CryptographicAlgorithm, PaddingMethod

Random = Callable[[int], bytes]
"""A source of random bytes: takes a count, returns as many bytes."""


class Encrypted(NamedTuple):
    """A ciphertext with the nonce used and the tag; both empty where the mode has none."""

    ciphertext: bytes
    nonce: bytes
    tag: bytes


class Encryptor(Protocol):
    """An encryption in parts."""

    nonce: bytes

    def update(self, data: bytes) -> bytes:
        """Take a part; return the ciphertext that is ready, perhaps none."""

    def finalize(self, data: bytes = b"") -> Encrypted:
        """Take the last part; return the rest of the ciphertext, the nonce and the tag."""


class Decryptor(Protocol):
    """A decryption in parts. An authenticated one gives all at the end or nothing."""

    def update(self, data: bytes) -> bytes:
        """Take a part; return the plaintext that is ready, perhaps none."""

    def finalize(self, data: bytes = b"", tag: bytes = b"") -> bytes:
        """Take the last part and the tag; return the rest of the plaintext."""


class ReadyCipher(abc.ABC):
    """A key made ready for one cipher; hold it and use it as often as wanted, from any thread."""

    __slots__ = ("cipher",)

    def __init__(self, cipher: "Cipher") -> None:
        self.cipher = cipher

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.cipher.name}>"

    @abc.abstractmethod
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
        """Encrypt `data` in one go, under a nonce from `random` unless one is given.

        `tag_length` in bytes; `counter` is KMIP's InitialCounterValue (CTR, ChaCha20).
        """

    @abc.abstractmethod
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
        """Decrypt `data` in one go.

        Raises:
            KmipError: CRYPTOGRAPHIC_FAILURE in one text for every wrong key, nonce, tag or data.
        """

    def encryptor(
        self,
        nonce: bytes | None = None,
        aad: bytes = b"",
        tag_length: int | None = None,
        *,
        counter: int | None = None,
        random: Random = os.urandom,
    ) -> Encryptor:
        """Begin an encryption in parts; here all parts are kept until the last."""
        return _BufferedEncryptor(self, self.nonce_for(nonce, random), aad, tag_length, counter)

    def decryptor(
        self,
        nonce: bytes | None = None,
        aad: bytes = b"",
        tag_length: int | None = None,
        *,
        counter: int | None = None,
    ) -> Decryptor:
        """Begin a decryption in parts; here all parts are kept until the last."""
        return _BufferedDecryptor(self, self.nonce_of(nonce), aad, tag_length, counter)

    def nonce_for(self, nonce: bytes | None, random: Random) -> bytes:
        """Return the nonce to encrypt with: the caller's, checked, or one from `random`."""
        if nonce is not None:
            return self.nonce_of(nonce)
        if not self.cipher.server_nonce:
            raise bad_parameters(
                f"{self.cipher.name} without an IVCounterNonce is not supported: give one"
            )
        return random(self.cipher.nonce_size)

    def nonce_of(self, nonce: bytes | None) -> bytes:
        """Return the caller's nonce, checked; modes without a nonce ignore one."""
        row = self.cipher
        if not row.nonce_size:
            return b""
        if nonce is None:
            raise missing_iv()
        if not nonce and row.zero_nonce:
            return bytes(row.nonce_size)
        if len(nonce) not in row.nonce_sizes:
            raise bad_parameters(
                f"{row.name} takes an IVCounterNonce of {sizes(row.nonce_sizes)} bytes,"
                f" not {len(nonce)}"
            )
        return nonce


@dataclass(frozen=True, kw_only=True)
class Cipher:
    """A row of the table of symmetric ciphers. All sizes are in bytes."""

    name: str
    algorithm: CryptographicAlgorithm
    mode: BlockCipherMode | None
    padding: PaddingMethod | None = None
    make: Callable[["Cipher", bytes], ReadyCipher]
    key_sizes: frozenset[int]
    nonce_size: int = 0
    nonce_sizes: Collection[int] = frozenset({0})
    tag_size: int = 0
    tag_sizes: frozenset[int] = frozenset()
    implicit_tag_sizes: frozenset[int] | None = None
    """Tags that a decryption takes without a TagLength, where that is not all of `tag_sizes`."""
    server_nonce: bool = True
    """The server may choose the nonce."""
    zero_nonce: bool = False
    """An empty nonce stands for all zeros, as the product has it for CBC."""
    legacy: bool = False
    """Kept for old clients only; SP 800-131A forbids or deprecates it."""
    may_protect: bool = True
    may_process: bool = True

    @property
    def aead(self) -> bool:
        """Whether the cipher authenticates and takes additional data."""
        return bool(self.tag_size)

    def prepare(self, key: bytes) -> ReadyCipher:
        """Make `key` ready for use; microseconds, and cheap to hold.

        Raises:
            KmipError: BAD_CRYPTOGRAPHIC_PARAMETERS: the key's length does not fit.
        """
        if len(key) not in self.key_sizes:
            raise bad_parameters(
                f"{self.name} takes a key of {sizes(self.key_sizes)} bytes, not {len(key)}"
            )
        return self.make(self, key)


class _BufferedEncryptor:
    """Parts kept until the last, for what cannot be encrypted piece by piece."""

    __slots__ = ("_aad", "_counter", "_data", "_ready", "_tag_length", "nonce")

    def __init__(
        self,
        ready: ReadyCipher,
        nonce: bytes,
        aad: bytes,
        tag_length: int | None,
        counter: int | None,
    ) -> None:
        self.nonce = nonce
        self._ready, self._aad, self._tag_length = ready, aad, tag_length
        self._counter, self._data = counter, bytearray()

    def update(self, data: bytes) -> bytes:
        self._data += data
        return b""

    def finalize(self, data: bytes = b"") -> Encrypted:
        self._data += data
        return self._ready.encrypt(
            bytes(self._data), self.nonce, self._aad, self._tag_length, counter=self._counter
        )


class _BufferedDecryptor:
    """Parts kept until the tag has been seen: nothing unauthenticated is released."""

    __slots__ = ("_aad", "_counter", "_data", "_nonce", "_ready", "_tag_length")

    def __init__(
        self,
        ready: ReadyCipher,
        nonce: bytes,
        aad: bytes,
        tag_length: int | None,
        counter: int | None,
    ) -> None:
        self._ready, self._nonce, self._aad = ready, nonce, aad
        self._tag_length, self._counter, self._data = tag_length, counter, bytearray()

    def update(self, data: bytes) -> bytes:
        self._data += data
        return b""

    def finalize(self, data: bytes = b"", tag: bytes = b"") -> bytes:
        self._data += data
        return self._ready.decrypt(
            bytes(self._data),
            self._nonce,
            self._aad,
            tag,
            self._tag_length,
            counter=self._counter,
        )
