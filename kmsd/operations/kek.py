"""Key-encryption keys: what every stored object is sealed under, and how.

A sealed object is kept as an Opaque Object whose value is

    magic, length of the identifier (1 byte), identifier of the KEK, salt (16), ciphertext, tag (16)

The ciphertext is AES-256-GCM under a key of its own, HKDF-SHA256 of the KEK and the random salt;
the additional data are all that stands before the salt, and the object's unique identifier, so
that no object can be put in another's place. The plaintext is binary TTLV of the object and of its
digests, which would otherwise let one guess short secrets.

A KEK is in a file outside the database, or is itself a key of the database. In a file, the first
key seals and the others only open, until everything has been sealed anew.
"""

import base64
import binascii
import hmac
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from kmsd.crypto import formats
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import LinkType, OpaqueDataType, State
from kmsd.kmip.errors import KmipError
from kmsd.kmip.objects import OBJECTS, Certificate, CertificateRequest, OpaqueObject, SymmetricKey
from kmsd.kmip.states import PROCESSING
from kmsd.operations.links import linked
from kmsd.store.interfaces import IStore, Record, StoreDamaged, StoreError, StoreRefused
from kmsd.ttlv import TtlvError, binary_format, structure
from kmsd.ttlv.schema import dump, load, tag_of

MAGIC = b"\x00kmsd sealed\x01"
KEY_BYTES = 32
_SALT_BYTES = 16
_NONCE = bytes(12)  # a key is used once, so that any nonce will do
_INFO = b"kmsd object sealed under a KEK"
_PUBLIC = Certificate | CertificateRequest
_CLASSES = {tag_of(cls): cls for cls in OBJECTS.values()}
_GENERATIONS = 1_000
_FILE_BYTES = 1 << 16


class KekMissing(StoreError):  # noqa: N818 (as the other errors of stores)
    """An object is sealed under a KEK that is not here, or that may not be used any more."""


class Kek(Protocol):
    """A key-encryption key: in memory, or behind a door that takes its time."""

    @property
    def identifier(self) -> str:
        """What sealed objects name it by."""

    async def seal(self, plain: bytes, aad: bytes) -> bytes:
        """Encrypt and authenticate."""

    async def unseal(self, sealed: bytes, aad: bytes) -> bytes:
        """Decrypt. Raises: StoreDamaged."""


class MemoryKek:
    """A KEK of which the bytes are here."""

    def __init__(self, identifier: str, key: bytes, random: Callable[[int], bytes]) -> None:
        """Seal under `key`, 32 bytes, with salts from `random`."""
        self.identifier = identifier
        self._key = key
        self._random = random

    async def seal(self, plain: bytes, aad: bytes) -> bytes:
        """Encrypt under a key of its own."""
        salt = self._random(_SALT_BYTES)
        return salt + self._derived(salt).encrypt(_NONCE, plain, aad)

    async def unseal(self, sealed: bytes, aad: bytes) -> bytes:
        """Decrypt, if nothing was changed."""
        salt, ciphertext = sealed[:_SALT_BYTES], sealed[_SALT_BYTES:]
        try:
            return self._derived(salt).decrypt(_NONCE, ciphertext, aad)
        except InvalidTag:
            raise StoreDamaged("a sealed object was changed or moved in the database") from None

    def _derived(self, salt: bytes) -> AESGCM:
        derivation = HKDF(hashes.SHA256(), KEY_BYTES, salt, _INFO)
        return AESGCM(derivation.derive(self._key))


class Ring(Protocol):
    """All KEKs: the one that seals now, and those that open what was sealed before."""

    async def current(self, store: IStore) -> Kek:
        """Return the KEK to seal under. Raises: KekMissing."""

    async def named(self, identifier: str, store: IStore) -> Kek:
        """Return the KEK that a sealed object names. Raises: KekMissing."""

    async def keks(self, records: Sequence[Record], store: IStore) -> frozenset[str]:
        """Return which objects of one write are KEKs, which cannot be sealed under themselves."""


class FileRing:
    """KEKs from a file: the first one seals."""

    def __init__(self, keys: Sequence[bytes], random: Callable[[int], bytes]) -> None:
        """Keep `keys`, at least one."""
        self._keks = [MemoryKek(f"file:{fingerprint(key)}", key, random) for key in keys]
        self._by_identifier = {kek.identifier: kek for kek in self._keks}

    async def current(self, store: IStore) -> Kek:  # noqa: ARG002 (others are in the store)
        """Return the first one."""
        return self._keks[0]

    async def named(self, identifier: str, store: IStore) -> Kek:  # noqa: ARG002
        """Return the one that has this identifier."""
        kek = self._by_identifier.get(identifier)
        if kek is None:
            raise missing(identifier)
        return kek

    async def keks(self, records: Sequence[Record], store: IStore) -> frozenset[str]:  # noqa: ARG002
        """None is in the store."""
        return frozenset()


class StoredRing:
    """A KEK that is a key of the database, and what has replaced it since.

    It seals as long as it is Active, and opens as long as it may process.
    """

    _PREFIX = "key:"

    def __init__(self, unique_identifier: str, random: Callable[[int], bytes]) -> None:
        """Use the key of this identifier, and its successors."""
        self._first = unique_identifier
        self._random = random

    async def current(self, store: IStore) -> Kek:
        """Return the newest successor that is Active; before it is, the one it will replace."""
        active = None
        for record in await self._chain(store):
            if record.attributes.state is State.ACTIVE:
                active = record
        if active is None:
            raise KekMissing(
                f"the key-encryption key {self._first} is not there or not Active: nothing can be"
                " stored. Create or import it as an AES key of 256 bits"
            )
        return self._kek(active)

    async def named(self, identifier: str, store: IStore) -> Kek:
        """Return the generation that has this identifier."""
        uid = identifier.removeprefix(self._PREFIX)
        for record in await self._chain(store):
            if record.unique_identifier == uid and record.attributes.state in PROCESSING:
                return self._kek(record)
        raise missing(identifier)

    async def keks(self, records: Sequence[Record], store: IStore) -> frozenset[str]:
        """Return the generations, and the new one if this write makes it the successor."""
        known = {record.unique_identifier for record in await self._chain(store)} | {self._first}
        successors = {
            linked(record, LinkType.REPLACEMENT_OBJECT_LINK)
            for record in records
            if record.unique_identifier in known
        }
        written = {record.unique_identifier for record in records}
        return frozenset(written & (known | successors))

    async def _chain(self, store: IStore) -> list[Record]:
        """Return the generations, oldest first."""
        found: list[Record] = []
        uid: str | None = self._first
        while uid is not None and len(found) < _GENERATIONS:
            record = await store.get(uid)
            if record is None or record in found:
                break
            found.append(record)
            uid = linked(record, LinkType.REPLACEMENT_OBJECT_LINK)
        return found

    def _kek(self, record: Record) -> Kek:
        managed_object = record.managed_object
        key = b""
        if isinstance(managed_object, SymmetricKey):
            try:
                key = formats.load_symmetric(managed_object.key_block)
            except KmipError:
                key = b""
        if len(key) != KEY_BYTES:
            raise KekMissing(
                f"the key-encryption key {record.unique_identifier} is not an AES key of 256 bits"
                " in clear"
            )
        return MemoryKek(self._PREFIX + record.unique_identifier, key, self._random)


class Rings:
    """Several rings: the first one seals, the others open what was sealed under them before."""

    def __init__(self, *rings: Ring) -> None:
        """Keep them, at least one."""
        self._rings = rings

    async def current(self, store: IStore) -> Kek:
        """Return the KEK of the first ring."""
        return await self._rings[0].current(store)

    async def named(self, identifier: str, store: IStore) -> Kek:
        """Return the KEK of the ring that has it."""
        for ring in self._rings:
            try:
                return await ring.named(identifier, store)
            except KekMissing:
                continue
        raise missing(identifier)

    async def keks(self, records: Sequence[Record], store: IStore) -> frozenset[str]:
        """Return those of all rings."""
        found = [await ring.keks(records, store) for ring in self._rings]
        return frozenset().union(*found)


def missing(identifier: str) -> KekMissing:
    """Say that an object cannot be opened here."""
    return KekMissing(
        f"an object is sealed under the key-encryption key {identifier}, which this server does not"
        " have or may not use: see --kek-file and --key-encryption-key"
    )


def fingerprint(key: bytes) -> str:
    """Return what a KEK is called; it tells nothing of the key."""
    return hmac.digest(key, b"kmsd KEK identifier", "sha256")[:8].hex()


def read_file(path: Path) -> list[bytes]:
    """Return the KEKs in a file: 32 bytes, or a line of hex or base64 for each.

    Empty lines and those that begin with `#` do not count.

    Raises:
        StoreRefused: it cannot be read, or holds something else.
    """
    try:
        with path.open("rb") as file:
            data = file.read(_FILE_BYTES)
    except OSError as error:
        raise StoreRefused(f"the KEK file {path} cannot be read: {error.strerror}") from None
    if len(data) == KEY_BYTES:
        return [data]
    lines = (line.strip() for line in data.splitlines())
    keys = [_key(line) for line in lines if line and not line.startswith(b"#")]
    if not keys or None in keys:
        raise StoreRefused(
            f"the KEK file {path} must hold keys of {KEY_BYTES} bytes: one as it is, or one in hex"
            " or base64 on each line"
        )
    return [key for key in keys if key is not None]


def _key(line: bytes) -> bytes | None:
    if re.fullmatch(rb"[0-9A-Fa-f]{64}", line):
        return bytes.fromhex(line.decode())
    try:
        key = base64.b64decode(line, validate=True)
    except binascii.Error:
        return None
    return key if len(key) == KEY_BYTES else None


def is_sealed(record: Record) -> bool:
    """Tell whether a stored object is sealed."""
    held = record.managed_object
    return isinstance(held, OpaqueObject) and held.opaque_data_value.startswith(MAGIC)


def must_seal(record: Record) -> bool:
    """Tell whether an object has anything to protect: certificates are public."""
    return record.managed_object is not None and not isinstance(record.managed_object, _PUBLIC)


def sealed_under(record: Record) -> str | None:
    """Return the identifier of the KEK that an object is sealed under."""
    return _parts(record)[0] if is_sealed(record) else None


async def seal(record: Record, kek: Kek) -> Record:
    """Return a record as it is stored: its object and digests sealed."""
    head = MAGIC + bytes([len(kek.identifier.encode())]) + kek.identifier.encode()
    assert record.managed_object is not None  # noqa: S101 (`must_seal` was asked)
    plain = binary_format.encode(
        structure(
            "KeyValue",
            dump(record.managed_object),
            dump(Attributes(digest=record.attributes.digest)),
        )
    )
    sealed = head + await kek.seal(plain, head + record.unique_identifier.encode())
    return msgspec.structs.replace(
        record,
        attributes=msgspec.structs.replace(record.attributes, digest=()),
        managed_object=OpaqueObject(
            opaque_data_type=OpaqueDataType.UNKNOWN, opaque_data_value=sealed
        ),
    )


async def unseal(record: Record, ring: Ring, store: IStore) -> Record:
    """Return a stored record in clear.

    Raises:
        KekMissing: its KEK is not here.
        StoreDamaged: it was changed, or is another object's.
    """
    identifier, head, sealed = _parts(record)
    kek = await ring.named(identifier, store)
    plain = await kek.unseal(sealed, head + record.unique_identifier.encode())
    try:
        held, digests = binary_format.decode(plain).children
        return msgspec.structs.replace(
            record,
            managed_object=load(_CLASSES[held.tag], held),
            attributes=msgspec.structs.replace(
                record.attributes, digest=load(Attributes, digests).digest
            ),
        )
    except (TtlvError, KeyError, ValueError):
        raise _damaged(record) from None


def _parts(record: Record) -> tuple[str, bytes, bytes]:
    """Return the identifier of the KEK, the head that holds it, and what is sealed."""
    held = record.managed_object
    assert isinstance(held, OpaqueObject)  # noqa: S101 (`is_sealed` was asked)
    value = held.opaque_data_value
    start = len(MAGIC) + 1
    end = start + value[len(MAGIC)] if len(value) > len(MAGIC) else len(value) + 1
    if end > len(value):
        raise _damaged(record)
    return value[start:end].decode("utf-8", "replace"), value[:end], value[end:]


def _damaged(record: Record) -> StoreDamaged:
    return StoreDamaged(f"the sealed object {record.unique_identifier} is damaged")
