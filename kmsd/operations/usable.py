"""A record's key as something to compute with, prepared once and remembered."""

from typing import Any

from cryptography import x509

from kmsd.crypto import algorithms, formats
from kmsd.crypto.interfaces import ReadyCipher
from kmsd.kmip.enums import CryptographicAlgorithm, ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.kmip.objects import Certificate, KeyBlock, key_block
from kmsd.kmip.structures import CryptographicParameters
from kmsd.operations import wrapping
from kmsd.operations.call import Call
from kmsd.store.interfaces import Record


def parameters(
    record: Record, requested: CryptographicParameters | None
) -> CryptographicParameters | None:
    """Return the parameters of a request, or the first of the key's own (KMIP 2.1 §6.1.17)."""
    own = record.attributes.cryptographic_parameters
    return requested or (own[0] if own else None)


async def cipher(call: Call, record: Record, wanted: CryptographicParameters | None) -> ReadyCipher:
    """Return the cipher that a symmetric key and the parameters make.

    Raises:
        KmipError: there is none of that name, or the key's length does not suit it.
    """
    algorithm = record.attributes.cryptographic_algorithm or CryptographicAlgorithm.AES
    row = algorithms.cipher(algorithm, wanted, generation=call.generation)
    block = await _block(call, record)
    if not wrapping.is_wrapped(record.managed_object):
        return call.services.keys.get(
            record, row.name, lambda: row.prepare(formats.load_symmetric(block))
        )
    return row.prepare(formats.load_symmetric(block))


async def private_key(call: Call, record: Record) -> Any:
    """Return the private key object of a record.

    Raises:
        KmipError: it is none.
    """
    block = await _block(call, record)
    if wrapping.is_wrapped(record.managed_object):
        return formats.load_private(block, trusted=True)
    return call.services.keys.get(
        record, "private", lambda: formats.load_private(block, trusted=True)
    )


async def public_key(call: Call, record: Record) -> Any:
    """Return the public key object of a record: of a public key or of a certificate.

    Raises:
        KmipError: it is none.
    """
    managed_object = record.managed_object
    if isinstance(managed_object, Certificate):
        der = managed_object.certificate_value
        return call.services.keys.get(
            record, "certificate", lambda: x509.load_der_x509_certificate(der).public_key()
        )
    block = await _block(call, record)
    return call.services.keys.get(
        record, "public", lambda: formats.load_public(block, trusted=True)
    )


async def _block(call: Call, record: Record) -> KeyBlock:
    block = key_block(await wrapping.clear(call, record))
    if block is None:
        raise KmipError(
            ResultReason.INVALID_OBJECT_TYPE, f"{record.unique_identifier} is not a key"
        )
    return block
