"""Encrypt and Decrypt with CoverCrypt keys, beside those of all other keys."""

from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.operations import covercrypt, decrypt, encrypt
from kmsd.operations.call import Call
from kmsd.operations.decrypt import Decrypt, DecryptResponse
from kmsd.operations.encrypt import Encrypt, EncryptResponse


async def encrypt_any(call: Call, request: Encrypt) -> EncryptResponse:
    """Encrypt with a key of any kind.

    Additional data that CoverCrypt authenticates come back as the tag, as the product returns them.

    Raises:
        KmipError: as `encrypt.encrypt`; or the access policy in the data does not fit the key's.
    """
    if not covercrypt.is_key(call.target):
        return await encrypt.encrypt(call, request)
    aad = request.authenticated_encryption_additional_data
    sealed = await covercrypt.encrypted(
        call, call.target, _data(request), aad, request.cryptographic_parameters
    )
    return EncryptResponse(
        unique_identifier=call.target.unique_identifier,
        data=sealed,
        correlation_value=request.correlation_value,
        authenticated_encryption_tag=aad,
    )


async def decrypt_any(call: Call, request: Decrypt) -> DecryptResponse:
    """Decrypt with a key of any kind.

    Raises:
        KmipError: as `decrypt.decrypt`.
    """
    if not covercrypt.is_key(call.target):
        return await decrypt.decrypt(call, request)
    opened = await covercrypt.decrypted(
        call,
        call.target,
        _data(request),
        request.authenticated_encryption_additional_data,
        request.cryptographic_parameters,
    )
    return DecryptResponse(
        unique_identifier=call.target.unique_identifier,
        data=opened,
        correlation_value=request.correlation_value,
    )


def _data(request: Encrypt | Decrypt) -> bytes:
    if request.data is None:
        raise KmipError(ResultReason.MISSING_DATA, "there is no data")
    return request.data
