"""The refusals of this layer, worded once.

What depends on a secret always reads the same, so that a caller learns nothing from the text:
wrong key, wrong tag, wrong padding are all `decryption_failed`. What depends only on public sizes
and names says what is wrong and what would be right.
"""

from collections.abc import Collection

from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError

# The clients' test suites look for "CRYPTO" (OASIS profiles) and "decrypt" in this text.
_DECRYPTION_FAILED = "CRYPTO: decryption failed"


def decryption_failed() -> KmipError:
    """Say that a ciphertext was not accepted, and no more."""
    return KmipError(ResultReason.CRYPTOGRAPHIC_FAILURE, _DECRYPTION_FAILED)


def failed(what: str) -> KmipError:
    """Say that `what` (a fixed text) failed for a reason that is kept to ourselves."""
    return KmipError(ResultReason.CRYPTOGRAPHIC_FAILURE, f"CRYPTO: {what} failed")


def unsupported(what: str) -> KmipError:
    """Say that a combination of parameters is not in our tables."""
    return KmipError(ResultReason.UNSUPPORTED_CRYPTOGRAPHIC_PARAMETERS, f"{what} is not supported")


def bad_parameters(what: str) -> KmipError:
    """Say what is wrong with the parameters, the sizes or the data that were given."""
    return KmipError(ResultReason.BAD_CRYPTOGRAPHIC_PARAMETERS, what)


def invalid_key(what: str) -> KmipError:
    """Say that key material is not what it claims to be."""
    return KmipError(ResultReason.INVALID_FIELD, f"invalid KeyMaterial: {what}")


def missing_iv() -> KmipError:
    """Say that a decryption needs an IVCounterNonce. Source: OASIS CS-BC-M-11-21."""
    return KmipError(ResultReason.INVALID_MESSAGE, "missing-iv: the IVCounterNonce is required")


def bad_tag_length(size: int, allowed: Collection[int]) -> KmipError:
    """Say that a tag is too short or too long. Source: OASIS CS-BC-M-GCM-1-21."""
    return KmipError(
        ResultReason.GENERAL_FAILURE,
        f"invalid tag length: {size} bytes, not {sizes(allowed)}",
    )


def sizes(allowed: Collection[int]) -> str:
    """Word a set of sizes: "12", "16, 24 or 32", "7 to 13"."""
    ordered = sorted(allowed)
    if len(ordered) > 2 and ordered == list(range(ordered[0], ordered[-1] + 1)):  # noqa: PLR2004
        return f"{ordered[0]} to {ordered[-1]}"
    words = [str(size) for size in ordered]
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def invalid_policy(what: str) -> KmipError:
    """Say what is wrong with a CoverCrypt policy or access policy; neither is a secret."""
    return KmipError(ResultReason.INVALID_ATTRIBUTE_VALUE, what)


def invalid_certificate(what: str) -> KmipError:
    """Say what is wrong with a certificate, its request or its extensions."""
    return KmipError(ResultReason.INVALID_ATTRIBUTE_VALUE, f"certificate: {what}")
