"""DSA keys of sizes that are too small for use: kept for their owners, and never computed with.

FIPS 186-4 has 1024 bits and more, and the library knows nothing else; old archives, and the
profiles' test cases, have 512.
"""

from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.objects import (
    KeyBlock,
    TransparentDSAPrivateKey,
    TransparentDSAPublicKey,
    key_material,
)

_SMALLEST_BITS = 512
_USABLE_BITS = 1024


def is_kept(block: KeyBlock) -> bool:
    """Tell whether a key block is such a key, which Register takes as it is.

    Raises:
        KmipError: it is one, but its numbers make no key.
    """
    key = key_material(block)
    if not isinstance(key, TransparentDSAPrivateKey | TransparentDSAPublicKey):
        return False
    if not _SMALLEST_BITS <= key.p.bit_length() < _USABLE_BITS:
        return False
    secret_or_point = key.x if isinstance(key, TransparentDSAPrivateKey) else key.y
    whole = 1 < key.q < key.p and (key.p - 1) % key.q == 0
    sound = whole and 1 < key.g < key.p and 0 < secret_or_point < key.p
    if not (sound and pow(key.g, key.q, key.p) == 1):
        raise KmipError(ResultReason.INVALID_FIELD, "the numbers make no DSA key")
    return True
