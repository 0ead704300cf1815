"""The bytes of symmetric keys and secret data, for what is computed from them."""

from kmsd.crypto import formats
from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.objects import SecretData, SymmetricKey
from kmsd.operations import wrapping
from kmsd.operations.call import Call
from kmsd.store.interfaces import Record


async def secret(call: Call, record: Record) -> bytes:
    """Return the bytes of a symmetric key or of secret data, unwrapped if need be.

    Raises:
        KmipError: it is another kind of object, destroyed, or wrapped by a key that may not be
            used.
    """
    managed_object = await wrapping.clear(call, record)
    if not isinstance(managed_object, SymmetricKey | SecretData):
        raise KmipError(
            ResultReason.INVALID_OBJECT_TYPE,
            f"{record.unique_identifier} is neither a symmetric key nor secret data",
        )
    return formats.load_symmetric(managed_object.key_block)
