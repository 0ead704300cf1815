"""Wrapping on this side, by passwords and by keys."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding

from kmsd.cli import keyfiles, wrapping
from kmsd.cli.errors import CommandFailed
from kmsd.crypto import formats, generate
from kmsd.kmip.enums import CryptographicAlgorithm, KeyFormatType, RecommendedCurve
from kmsd.kmip.errors import KmipError
from kmsd.kmip.objects import PrivateKey, PublicKey, key_block, key_material

ALGORITHM = CryptographicAlgorithm


def _private(algorithm: ALGORITHM, bits: int | None = None, curve: Any = None) -> PrivateKey:
    key = generate.generate_pair(algorithm, bits, curve)
    return PrivateKey(key_block=formats.key_block(key))


def test_a_password_means_the_products_key() -> None:
    """The key of "pwd" wraps 0102 to what the published clients wrap it to."""
    wrapped = wrapping.wrapped(
        keyfiles.symmetric_key(b"\1\2", ALGORITHM.AES), wrapping.password_key("pwd")
    )
    assert keyfiles.material(wrapped).hex().upper() == "BACB2E371767135C8F68BDC4B9FC4EC7"


KEYS: dict[str, Callable[[], Any]] = {
    "symmetric": lambda: keyfiles.symmetric_key(bytes(range(32)), ALGORITHM.AES),
    "rsa": lambda: _private(ALGORITHM.RSA, 2048),
    "p256": lambda: _private(ALGORITHM.ECDH, None, RecommendedCurve.P256),
    "x25519": lambda: _private(ALGORITHM.ECDH, None, RecommendedCurve.CURVE25519),
}


def _plain(managed_object: Any) -> bytes:
    """What is wrapped of a key, in whatever form it is."""
    block = managed_object.key_block
    if isinstance(managed_object, PrivateKey):
        return formats.wrapped_form(formats.load_private(block))
    return formats.load_symmetric(block)


@pytest.mark.parametrize("kind", KEYS)
def test_what_is_wrapped_is_unwrapped(kind: str) -> None:
    """A key wrapped under AES, RSA or an elliptic curve comes back from the other half of it."""
    managed_object: Any = KEYS[kind]()
    aes = keyfiles.symmetric_key(bytes(16), ALGORITHM.AES)
    wrappers: list[tuple[Any, Any]] = [
        (aes, aes),
        (_private(ALGORITHM.ECDH, None, RecommendedCurve.P256),) * 2,
    ]
    if kind != "rsa":  # too large for RSA itself
        wrappers.append((_private(ALGORITHM.RSA, 2048),) * 2)
    for outer, inner in wrappers:
        key = wrapping.wrapping_key(outer, to_wrap=True)
        wrapped = wrapping.wrapped(managed_object, key, "the wrapping key")
        again = keyfiles.from_json(keyfiles.to_json(wrapped))
        opened = wrapping.unwrapped(again, wrapping.wrapping_key(inner, to_wrap=False))
        assert _plain(opened) == _plain(managed_object)
        block = key_block(wrapped)
        assert block is not None
        assert block.key_wrapping_data is not None
        information = block.key_wrapping_data.encryption_key_information
        assert information is not None
        assert information.unique_identifier == "the wrapping key"


def test_what_is_wrapped_is_rfc_5649() -> None:
    """Under AES it is the bytes of the key alone, wrapped with padding."""
    managed_object = keyfiles.symmetric_key(b"seventeen bytes!!", ALGORITHM.AES)
    kek = bytes(range(24))
    wrapped = wrapping.wrapped(managed_object, kek)
    material = keyfiles.material(wrapped)
    assert aes_key_unwrap_with_padding(kek, material) == b"seventeen bytes!!"


def test_what_does_not_wrap_is_told() -> None:
    """A wrapped key is not wrapped again, one in clear not unwrapped, a public key unwraps nothing,
    another key does not unwrap, and a key of a strange size does not wrap.
    """
    aes = keyfiles.symmetric_key(bytes(32), ALGORITHM.AES)
    wrapped = wrapping.wrapped(aes, bytes(16))
    public = PublicKey(
        key_block=formats.key_block(generate.generate_pair(ALGORITHM.RSA, 2048).public_key())
    )
    with pytest.raises(CommandFailed, match="in clear"):
        wrapping.wrapped(wrapped, bytes(16))
    with pytest.raises(CommandFailed, match="not wrapped"):
        wrapping.unwrapped(aes, bytes(16))
    with pytest.raises(CommandFailed, match="private"):
        wrapping.wrapping_key(public, to_wrap=False)
    with pytest.raises(CommandFailed, match="wrapped itself"):
        wrapping.wrapping_key(wrapped, to_wrap=True)
    with pytest.raises(KmipError):
        wrapping.unwrapped(wrapped, bytes(range(16)))
    with pytest.raises(CommandFailed, match="17"):
        wrapping.checked(bytes(17))


# Files of keys


@pytest.mark.parametrize("kind", KEYS)
def test_json_of_a_key_survives(kind: str) -> None:
    """What is written as JSON is read as the same, under the name of its type."""
    managed_object: Any = KEYS[kind]()
    text = keyfiles.to_json(managed_object)
    assert f'"tag": "{type(managed_object).__name__}"'.encode() in text
    assert keyfiles.from_json(text) == managed_object


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"no json", b'{"tag":"Create","value":[]}'])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    """Any other file is refused with the way out."""
    with pytest.raises(CommandFailed, match="--key-format"):
        keyfiles.from_json(data)


@pytest.mark.parametrize("form", ["pem", "sec1", "pkcs8", "spki", "aes", "chacha20"])
def test_what_is_no_key_is_refused(form: str) -> None:
    """A file of another form is refused before the server sees it."""
    with pytest.raises(CommandFailed):
        keyfiles.read(b"neither a key nor anything else", form)


def test_pem_tells_what_it_is() -> None:
    """A PEM block becomes the object that its label says, of the algorithm inside."""
    key = generate.generate_pair(ALGORITHM.ECDH, None, RecommendedCurve.P256)
    for label, form in (
        ("PRIVATE KEY", KeyFormatType.PKCS8),
        ("EC PRIVATE KEY", KeyFormatType.EC_PRIVATE_KEY),
    ):
        der: Any = formats.export(key, form)
        block = key_block(keyfiles.read(b"text before\n" + keyfiles.pem(der, label), "pem"))
        assert block is not None
        assert block.key_format_type is form
        assert key_material(block) == der
