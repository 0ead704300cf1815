"""Files of any size under the server's keys: encrypted here by a key of their own, or there.

A file that is encrypted here is `length ‖ encrypted data key ‖ nonce ‖ ciphertext ‖ tag`; one that
the server encrypts is `nonce ‖ ciphertext ‖ tag`.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from typing import Any, BinaryIO

from twisted.internet.task import deferLater

from kmsd.cli import ciphers, files, leb128
from kmsd.cli.ciphers import Algorithm, KeyAlgorithm
from kmsd.cli.errors import CommandFailed
from kmsd.cli.session import Session
from kmsd.kmip.structures import CryptographicParameters
from kmsd.operations.decrypt import Decrypt
from kmsd.operations.encrypt import Encrypt, EncryptResponse

PIECE = 1 << 20
WHOLE_BYTES = 4 << 20
"""Up to here the server gets a file in one request."""

THERE_BYTES = 60 << 20
"""The largest file for the server: it gives out no plaintext before it has seen all of it."""


async def _at_ease(session: Session, bar: Any, count: int) -> None:
    """Show progress, and let the reactor do what else there is, such as stopping."""
    bar.update(count)
    await deferLater(session.reactor, 0)


class _Pieces:
    """A file in pieces; its last `tail_bytes` come by themselves in `tail`, when all is read."""

    def __init__(self, file: BinaryIO, tail_bytes: int = 0, piece_bytes: int = PIECE) -> None:
        self._file = file
        self._tail_bytes = tail_bytes
        self._piece_bytes = piece_bytes
        self.tail = b""

    def __iter__(self) -> Iterator[bytes]:
        held = b""
        while data := self._file.read(self._piece_bytes):
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
    row: Algorithm,
    nonce: bytes | None,
    aad: bytes | None,
) -> None:
    """Have the server encrypt a file, in parts if it is large."""
    first = {
        "unique_identifier": key,
        "iv_counter_nonce": nonce,
        "authenticated_encryption_additional_data": aad,
    }
    parts = _Parts(session, Encrypt, row.parameters, first)
    started = False
    with session.progress(_fitting(source), "encrypting") as bar:
        async for answer in parts.answers(_Pieces(source, 0, WHOLE_BYTES)):
            if not started:
                output.write((answer.iv_counter_nonce if nonce is None else nonce) or b"")
                started = True
            output.write((answer.data or b"") + (answer.authenticated_encryption_tag or b""))
            bar.update(len(answer.data or b""))


async def decrypt_there(
    session: Session,
    source: BinaryIO,
    output: files.Output,
    *,
    key: str,
    row: Algorithm,
    aad: bytes | None,
) -> None:
    """Have the server decrypt a file, in parts if it is large."""
    nonce = source.read(row.nonce_bytes)
    if len(nonce) != row.nonce_bytes:
        raise leb128.malformed()
    first = {
        "unique_identifier": key,
        "iv_counter_nonce": nonce,
        "authenticated_encryption_additional_data": aad,
    }
    parts = _Parts(session, Decrypt, row.parameters, first)
    pieces = _Pieces(source, row.tag_bytes, WHOLE_BYTES)
    with session.progress(_fitting(source), "decrypting") as bar:
        async for answer in parts.answers(pieces):
            output.write(answer.data or b"")
            bar.update(len(answer.data or b""))


def _fitting(source: BinaryIO) -> int:
    """Return the size of a file that the server can take. Raises: CommandFailed: it cannot."""
    size = files.size(source) or 0
    if size > THERE_BYTES + _AROUND_BYTES:
        raise _too_large()
    return size


def _too_large() -> CommandFailed:
    return CommandFailed(
        f"the server takes files of up to {THERE_BYTES >> 20} MiB: encrypt larger ones here,"
        " with --key-encryption-algorithm rfc5649"
    )


_AROUND_BYTES = 64
"""At most so much of a file is nonce and tag."""


class _Parts:
    """One operation of the server's, whole or in parts: each piece of data is a request.

    `first` is said in the first request only; what comes after the pieces goes with the last.
    """

    def __init__(
        self,
        session: Session,
        request: type[Encrypt | Decrypt],
        parameters: CryptographicParameters,
        first: dict[str, Any],
    ) -> None:
        self._session = session
        self._request = request
        self._parameters = parameters
        self._first = first
        self._sent = 0

    async def answers(self, pieces: _Pieces) -> AsyncIterator[Any]:
        """Yield the answer to each request."""
        data = iter(pieces)
        piece, following = next(data, b""), next(data, None)
        if following is None:
            yield await self._session(self._made(piece, self._first | _tagged(pieces.tail)))
            return
        answer = await self._session.kms_5(
            self._made(piece, self._first | {"init_indicator": True})
        )
        yield answer
        uid = answer.unique_identifier
        while following is not None:
            piece, following = following, next(data, None)
            last = _tagged(pieces.tail) | {"final_indicator": True} if following is None else {}
            how = {"unique_identifier": uid, "correlation_value": answer.correlation_value, **last}
            answer = await self._session.kms_5(self._made(piece, how))
            yield answer

    def _made(self, piece: bytes, how: dict[str, Any]) -> Encrypt | Decrypt:
        self._sent += len(piece)
        if self._sent > THERE_BYTES:
            raise _too_large()
        return self._request(data=piece, cryptographic_parameters=self._parameters, **how)


def _tagged(tag: bytes) -> dict[str, Any]:
    return {"authenticated_encryption_tag": tag} if tag else {}
