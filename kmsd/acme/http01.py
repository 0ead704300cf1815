"""HTTP-01 (RFC 8555 §8.3): the key authorization under /.well-known/acme-challenge/ on port 80.

What is pending lies in files, so that the process that has the port need not be the one that asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.web.resource import Resource
from twisted.web.server import Request, Site
from txacme.interfaces import IResponder
from zope.interface import implementer

from kmsd.acme.store import write_private

PATH = "/.well-known/acme-challenge/"

# RFC 8555 §8.3: base64url, at least 128 bits of it.
_TOKEN = re.compile(r"[A-Za-z0-9_-]{22,128}", re.ASCII)


@implementer(IResponder)
class Http01Responder:
    """Answers HTTP-01 through `site`, wherever that listens; anything else there is not found."""

    challenge_type = "http-01"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.site = _QuietSite(_Tokens(self.file))  # type: ignore[no-untyped-call]

    def file(self, token: str) -> Path:
        """Return where the answer to the challenge `token` lies.

        Raises:
            ValueError: not a token.
        """
        if not _TOKEN.fullmatch(token):
            raise ValueError("not a token")
        return self._folder / f"{token}.token"

    def start_responding(self, server_name: str, challenge: Any, response: Any) -> None:  # noqa: ARG002
        """Show the key authorization under its token."""
        path = self.file(challenge.encode("token"))
        write_private(path, response.key_authorization.encode())

    def stop_responding(self, server_name: str, challenge: Any, response: Any) -> None:  # noqa: ARG002
        """Take it away."""
        self.file(challenge.encode("token")).unlink(missing_ok=True)


class _Tokens(Resource):
    """Every path of the port, whether a challenge lies under it or nothing."""

    isLeaf = True  # noqa: N815 - twisted.web's name

    def __init__(self, file: Callable[[str], Path]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._file = file

    def render_GET(self, request: Request) -> bytes:  # noqa: N802
        request.setHeader(b"Content-Type", b"application/octet-stream")
        path = request.path.decode("latin-1")
        try:
            return self._file(path.removeprefix(PATH)).read_bytes()
        except (OSError, ValueError):
            request.setResponseCode(404)
            return b"not found"


class _QuietSite(Site):
    """Probes from the whole Internet come to port 80: neither a log line nor a traceback each."""

    displayTracebacks = False  # noqa: N815 - twisted.web's name
    noisy = False

    def log(self, request: object) -> None:
        """Keep silent."""
