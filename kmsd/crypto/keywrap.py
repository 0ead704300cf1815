"""AES key wrapping: KW (RFC 3394) and KWP (RFC 5649). By parameters: see `wrapping`."""

from cryptography.hazmat.primitives import keywrap as library

from kmsd.crypto.errors import bad_parameters, decryption_failed

_SEMIBLOCK = 8
_SHORTEST = 2 * _SEMIBLOCK
_LARGEST = 1 << 24  # a key, not a file: both algorithms make six passes over the data
KEK_SIZES = frozenset({16, 24, 32})


def rfc3394_wrap(kek: bytes, key: bytes) -> bytes:
    """Wrap a key of 16 or more bytes, a multiple of 8. Source: RFC 3394 §2.2.1."""
    _check_kek(kek)
    if len(key) % _SEMIBLOCK or not _SHORTEST <= len(key) <= _LARGEST:
        raise bad_parameters("RFC 3394 wraps 16 bytes or more, in multiples of 8")
    return library.aes_key_wrap(kek, key)


def rfc3394_unwrap(kek: bytes, wrapped: bytes) -> bytes:
    """Unwrap a key; CRYPTOGRAPHIC_FAILURE when the check value is wrong. RFC 3394 §2.2.2."""
    _check_kek(kek)
    try:
        return library.aes_key_unwrap(kek, wrapped)
    except (library.InvalidUnwrap, ValueError):
        raise decryption_failed() from None


def rfc5649_wrap(kek: bytes, key: bytes) -> bytes:
    """Wrap a key of any length but zero. Source: RFC 5649 §4.1."""
    _check_kek(kek)
    if not 1 <= len(key) <= _LARGEST:
        raise bad_parameters("RFC 5649 wraps 1 byte to 16 MiB")
    return library.aes_key_wrap_with_padding(kek, key)


def rfc5649_unwrap(kek: bytes, wrapped: bytes) -> bytes:
    """Unwrap a key; CRYPTOGRAPHIC_FAILURE when the check value is wrong. RFC 5649 §4.2."""
    _check_kek(kek)
    try:
        return library.aes_key_unwrap_with_padding(kek, wrapped)
    except (library.InvalidUnwrap, ValueError):
        raise decryption_failed() from None


def _check_kek(kek: bytes) -> None:
    if len(kek) not in KEK_SIZES:
        raise bad_parameters(f"an AES key has 16, 24 or 32 bytes, not {len(kek)}")
