"""Files of any size under the server's keys: encrypted here by a key of their own, or there.

A file that is encrypted here is `length ‖ encrypted data key ‖ nonce ‖ ciphertext ‖ tag`; one that
the server encrypts is `nonce ‖ ciphertext ‖ tag`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, BinaryIO

from twisted.internet.task import deferLater

from kmsd.cli import ciphers, files, leb128
from kmsd.cli.ciphers import Algorithm, KeyAlgorithm
from kmsd.cli.session import Session
from kmsd.kmip.structures import CryptographicParameters
from kmsd.operations.decrypt import Decrypt
from kmsd.operations.encrypt import Encrypt, EncryptResponse

PIECE = 1 << 20
WHOLE_BYTES = 4 << 20
"""Up to here the server gets a file in one request."""


async def _at_ease(session: Session, bar: Any, count: int) -> None:
    """Show progress, and let the reactor do what else there is, such as stopping."""
    bar.update(count)
    await deferLater(session.reactor, 0)


class _Pieces:
    """A file in pieces; its last `tail_bytes` come by themselves in `tail`, when all is read."""

    def __init__(self, file: BinaryIO, tail_bytes: int = 0) -> None:
        self._file = file
        self._tail_bytes = tail_bytes
        self.tail = b""

    def __iter__(self) -> Iterator[bytes]:
        held = b""
        while data := self._file.read(PIECE):
            held += data
            cut = len(held) - self._tail_bytes
            if cut > 0:
                yield held[:cut]
                held = held[cut:]
        if len(held) < self._tail_bytes:
            raise leb128.malformed()
        self.tail = held


# Here


async def encrypt_here(
    session: Session,
    source: BinaryIO,
    output: files.Output,
    *,
    key: str,
    row: Algorithm,
    key_algorithm: KeyAlgorithm,
    nonce: bytes | None,
    aad: bytes,
) -> None:
    """Encrypt a file under a new data key, which the server's key encrypts."""
    data_key = ciphers.new_key(row)
    sealed = await session(
        Encrypt(
            unique_identifier=key,
            data=data_key,
            cryptographic_parameters=key_algorithm.parameters,
        )
    )
    nonce = os.urandom(row.nonce_bytes) if nonce is None else nonce
    output.write(leb128.prefixed(joined(sealed)) + nonce)
    flow = row.encrypting(data_key, nonce, aad)
    with session.progress(files.size(source) or 0, "encrypting") as bar:
        for piece in _Pieces(source):
            output.write(flow.update(piece))
            await _at_ease(session, bar, len(piece))
    rest, tag = flow.finish()
    output.write(rest + tag)


async def decrypt_here(
    session: Session,
    source: BinaryIO,
    output: files.Output,
    *,
    key: str,
    row: Algorithm,
    key_algorithm: KeyAlgorithm,
    aad: bytes,
) -> None:
    """Decrypt a file that `encrypt_here` made."""
    encapsulation = leb128.read_part(source)
    opened = await session(
        request_to_decrypt(
            encapsulation,
            key_algorithm.nonce_bytes,
            key_algorithm.tag_bytes,
            unique_identifier=key,
            cryptographic_parameters=key_algorithm.parameters,
        )
    )
    data_key = opened.data or b""
    nonce = source.read(row.nonce_bytes)
    if len(data_key) != row.key_bytes or len(nonce) != row.nonce_bytes:
        raise leb128.malformed()
    flow = row.decrypting(data_key, nonce, aad)
    pieces = _Pieces(source, row.tag_bytes)
    with session.progress(files.size(source) or 0, "decrypting") as bar:
        for piece in pieces:
            output.write(flow.update(piece))
            await _at_ease(session, bar, len(piece))
    output.write(flow.finish(pieces.tail)[0])


# At the server


def joined(answer: EncryptResponse) -> bytes:
    """Return nonce, ciphertext and tag in a row."""
    parts = (answer.iv_counter_nonce, answer.data, answer.authenticated_encryption_tag)
    return b"".join(part or b"" for part in parts)


def request_to_decrypt(data: bytes, nonce_bytes: int, tag_bytes: int, **others: Any) -> Decrypt:
    """Return the request to decrypt nonce, ciphertext and tag in a row. Raises: CommandFailed."""
    if len(data) < nonce_bytes + tag_bytes:
        raise leb128.malformed()
    end = len(data) - tag_bytes
    return Decrypt(
        data=data[nonce_bytes:end],
        iv_counter_nonce=data[:nonce_bytes],
        authenticated_encryption_tag=data[end:],
        **others,
    )


async def encrypt_there(
    session: Session,
    source: BinaryIO,
    output: files.Output,
    *,
    key: str,
    parameters: CryptographicParameters,
    nonce: bytes | None,
    aad: bytes | None,
) -> str:
    """Have the server encrypt a file, in parts if it is large; return the key that did."""
    common: dict[str, Any] = {
        "unique_identifier": key,
        "cryptographic_parameters": parameters,
        "authenticated_encryption_additional_data": aad,
        "iv_counter_nonce": nonce,
    }
    first = source.read(WHOLE_BYTES)
    second = source.read(WHOLE_BYTES) if len(first) == WHOLE_BYTES else b""
    if not second:
        answer = await session(Encrypt(data=first, **common))
        output.write(joined(answer))
        return str(answer.unique_identifier)
    with session.progress(files.size(source) or 0, "encrypting") as bar:
        answer = await session.kms_5(Encrypt(data=first, init_indicator=True, **common))
        output.write((nonce if nonce is not None else answer.iv_counter_nonce) or b"")
        uid = str(answer.unique_identifier)
        common["unique_identifier"] = uid
        while True:
            output.write(answer.data or b"")
            await _at_ease(session, bar, len(first))
            if answer.correlation_value is None:
                break
            first, second = second, source.read(WHOLE_BYTES)
            answer = await session.kms_5(
                Encrypt(
                    unique_identifier=uid,
                    cryptographic_parameters=parameters,
                    data=first,
                    correlation_value=answer.correlation_value,
                    final_indicator=True if not second else None,
                )
            )
    output.write(answer.authenticated_encryption_tag or b"")
    return uid
