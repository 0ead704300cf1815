"""What ACME leaves on disk: the account's key, and each name's key with its certificates.

    <folder>/account.key   EC P-256, PKCS#8 PEM
    <folder>/<host>.pem    key, leaf, chain (the format of txacme's DirectoryStore)

The folder is 0700 and each file 0600; a file is replaced whole or not at all.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.python.filepath import FilePath
from txacme.store import DirectoryStore

ACCOUNT_KEY = "account.key"

# A host name becomes a file name: letters, digits, hyphens and dots (RFC 1123 §2.1), no more.
_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(\.(?!-)[a-z0-9-]{1,63})*", re.ASCII)


def host_name(text: str) -> str:
    """Return `text` as the lower-case host name it must be.

    Raises:
        ValueError: it is none, or is one that no public CA certifies by these challenges.
    """
    name = text.strip().rstrip(".").lower()
    if not name.isascii():
        name = name.encode("idna").decode()
    if len(name) > 253 or not _HOST.fullmatch(name):  # noqa: PLR2004 - RFC 1035 §2.3.4
        raise ValueError(f"not a host name: {text!r}")
    return name


def write_private(path: Path, content: bytes) -> None:
    """Replace `path` by a file that only its owner can read; a crash leaves the old or the new."""
    partial = path.with_name(f".{path.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(partial, flags, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, 0o600)  # the file may be a left-over with another mode
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    partial.replace(path)
    _sync_folder(path.parent)


def private_folder(path: Path) -> Path:
    """Make the folder (0700) when it is not there; return it."""
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def account_key(folder: Path) -> ec.EllipticCurvePrivateKey:
    """Return the account's key, made at the first call.

    Raises:
        ValueError: the file holds something else. It is not replaced: the account would be lost.
    """
    path = folder / ACCOUNT_KEY
    if not path.exists():
        made = ec.generate_private_key(ec.SECP256R1())
        write_private(path, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return made
    try:
        key = load_pem_private_key(path.read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path}: is not a readable private key") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError(f"{path}: is not an EC P-256 key")  # noqa: TRY004 - a file's content
    return key


class PrivateStore(DirectoryStore):  # type: ignore[misc]
    """txacme's DirectoryStore, which checks what it is given and keeps it to the owner's eyes.

    `accept` sees the whole PEM text before it is written and raises when it cannot be served.
    """

    def __init__(self, folder: Path, accept: Callable[[str, bytes], None]) -> None:
        super().__init__(FilePath(str(folder)))
        self._folder, self._accept = folder, accept

    def file(self, server_name: str) -> Path:
        """Return where the certificate of `server_name` is kept."""
        return self._folder / f"{host_name(server_name)}.pem"

    def store(self, server_name: str, pem_objects: Sequence[Any]) -> Deferred[None]:
        """Keep the key and the certificates of `server_name`, and serve them."""
        content = b"".join(each.as_bytes().strip() + b"\n" for each in pem_objects)
        return maybeDeferred(self._store, server_name, content)

    def _store(self, server_name: str, content: bytes) -> None:
        # Serving comes first: a disk that is full costs a certificate at the next start, no more.
        self._accept(server_name, content)
        write_private(self.file(server_name), content)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
