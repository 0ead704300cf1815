"""A server with port 5696 open, for tests: its options, and where it listens."""

from __future__ import annotations

import re
from pathlib import Path

from tests import pki
from tests.conftest import Kmsd


def options(folder: Path, root: pki.Identity, *more: str) -> tuple[str, ...]:
    """Return options that open a KMIP port for clients whose certificates `root` has signed."""
    (folder / "authorities.pem").write_bytes(root.pem)
    kind = "rsa" if "RSA" in type(root.key).__name__ else "p256"
    certificate, key = pki.issue(root, "localhost", kind=kind).write(folder, "server")
    return (
        f"--tls-cert-file={certificate}",
        f"--tls-key-file={key}",
        f"--authority-cert-file={folder / 'authorities.pem'}",
        "--socket-server-start",
        "--socket-server-port=0",
        "--socket-server-hostname=127.0.0.1",
        *more,
    )


def port_of(server: Kmsd) -> int:
    """Return the port that the server tells in its log."""
    found = re.search(r"listening on kmip://127\.0\.0\.1:(\d+)", server.output())
    assert found, server.output()
    return int(found[1])
