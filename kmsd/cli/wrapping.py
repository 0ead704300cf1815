"""Wrapping keys on this side: by a password, by a key in a file, by a key that was fetched.

Source: the product's clients (Argon2id with its default cost and a salt of zeros, RFC 5649).
"""

from __future__ import annotations

from typing import Any

import msgspec
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from kmsd.cli.errors import CommandFailed
from kmsd.crypto import formats
from kmsd.crypto import wrapping as ciphers
from kmsd.crypto.keywrap import KEK_SIZES
from kmsd.kmip.attributes import Attributes
from kmsd.kmip.enums import EncodingOption, WrappingMethod
from kmsd.kmip.generations import Generation
from kmsd.kmip.objects import (
    KeyBlock,
    KeyValue,
    ManagedObject,
    PrivateKey,
    PublicKey,
    key_block,
    key_material,
)
from kmsd.kmip.structures import EncryptionKeyInformation, KeyWrappingData
from kmsd.operations import wrapped_form

_MEMORY_KIB, _PASSES, _LANES = 19456, 2, 1
_SALT = bytes(16)


def password_key(password: str) -> bytes:
    """Return the wrapping key that a password means: 32 bytes."""
    kdf = Argon2id(salt=_SALT, length=32, iterations=_PASSES, lanes=_LANES, memory_cost=_MEMORY_KIB)
    return kdf.derive(password.encode())


def wrapping_key(managed_object: ManagedObject, *, to_wrap: bool) -> Any:
    """Return the key in an object that wraps (a public one, or symmetric bytes) or unwraps.

    Raises:
        CommandFailed: it is not a key that does.
    """
    block = key_block(managed_object)
    if block is None or block.key_wrapping_data is not None:
        raise CommandFailed("the wrapping key is no key, or is wrapped itself")
    if isinstance(managed_object, PrivateKey):
        private: Any = formats.load_private(block)
        return private.public_key() if to_wrap else private
    if isinstance(managed_object, PublicKey):
        if not to_wrap:
            raise CommandFailed("a public key does not unwrap: name its private key")
        return formats.load_public(block)
    return checked(formats.load_symmetric(block))


def checked(key: bytes) -> bytes:
    """Return an AES key. Raises: CommandFailed: it is of another size."""
    if len(key) not in KEK_SIZES:
        raise CommandFailed(f"a wrapping key has 16, 24 or 32 bytes, this one has {len(key)}")
    return key


def wrapped(
    managed_object: ManagedObject, key: Any, unique_identifier: str | None = None
) -> ManagedObject:
    """Return the object with its key wrapped by `key`, which the server knows by an identifier.

    Raises:
        CommandFailed: it has no key, or a wrapped one.
        KmipError: the two do not go together.
    """
    block = key_block(managed_object)
    if block is None or block.key_wrapping_data is not None:
        raise CommandFailed("only a key in clear can be wrapped: this is none, or is wrapped")
    plain = wrapped_form.plain(block, EncodingOption.NO_ENCODING, Generation.V4)
    information = (
        EncryptionKeyInformation(unique_identifier=unique_identifier) if unique_identifier else None
    )
    data = wrapping_data(information)
    value = KeyValue(key_material=ciphers.wrap(key, plain), attributes=_attributes(block))
    return _with_block(
        managed_object, msgspec.structs.replace(block, key_value=value, key_wrapping_data=data)
    )


def wrapping_data(information: EncryptionKeyInformation | None = None) -> KeyWrappingData:
    """Return what a wrapped key says of how it is wrapped; by a password, without information."""
    return KeyWrappingData(
        wrapping_method=WrappingMethod.ENCRYPT,
        encryption_key_information=information,
        encoding_option=EncodingOption.NO_ENCODING,
    )


def unwrapped(managed_object: ManagedObject, key: Any) -> ManagedObject:
    """Return the object with its key in clear.

    Raises:
        CommandFailed: it is not wrapped.
        KmipError: `key` is not what wrapped it.
    """
    block = key_block(managed_object)
    data = block.key_wrapping_data if block else None
    material = key_material(block) if block else None
    if block is None or data is None or not isinstance(material, bytes):
        raise CommandFailed("the key in the file is not wrapped")
    information = data.encryption_key_information
    parameters = information.cryptographic_parameters if information else None
    plain = ciphers.unwrap(key, material, parameters, generation=4)
    attributes = _attributes(block) or Attributes()
    clear = wrapped_form.restored(block, plain, attributes, data.encoding_option)
    return _with_block(managed_object, clear)


def _attributes(block: KeyBlock) -> Attributes | None:
    return block.key_value.attributes if isinstance(block.key_value, KeyValue) else None


def _with_block(managed_object: ManagedObject, block: KeyBlock) -> ManagedObject:
    return msgspec.structs.replace(managed_object, key_block=block)
