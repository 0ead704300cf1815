"""A server on each of the four databases, as far as tests over HTTP need to know them.

To use the fixtures, import them: `database_options`, `mariadb`, `postgresql`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import threading
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.clients.server import kmsd
from tests.integration.store.conftest import KINDS, mariadb, postgresql

__all__ = ["KINDS", "database_options", "kmsd_on", "mariadb", "new_secret", "postgresql"]

DatabaseOptions = Callable[[str], tuple[str, ...]]
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}
_SECRETS = {"databasesecret", "kmsdatabasesecret"}  # of clients that try what a server ignores


@pytest.fixture(scope="session")
def database_options(request: pytest.FixtureRequest) -> DatabaseOptions:
    """A function from the kind of a database to a server's options for a new and empty one."""

    def options(kind: str) -> tuple[str, ...]:
        named = f"--database-type={kind}"
        if kind.startswith("sqlite"):
            return (named,)  # in the server's own folder
        server = request.getfixturevalue("postgresql" if kind == "postgresql" else "mariadb")
        return (named, f"--database-url={server.new_url()}")

    return options


def new_secret(url: str) -> str:
    """Have a server make an encrypted database; return its secret."""
    request = urllib.request.Request(f"{url.rstrip('/')}/new_database", method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        secret: str = json.load(answer)
        return secret


@contextlib.contextmanager
def kmsd_on(kind: str, folder: Path, *options: str) -> Iterator[str]:
    """Run a server; where its database is encrypted, the URL adds the secret to each request."""
    with kmsd(folder, *options) as url:
        if kind != "sqlite-enc":
            yield url
        else:
            with relay(url, DatabaseSecret=new_secret(url)) as relayed:
                yield relayed


@contextlib.contextmanager
def relay(url: str, **headers: str) -> Iterator[str]:
    """Pass requests on to a server with more headers; give the URL to use instead."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(url, headers))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _handler(url: str, more: dict[str, str]) -> type[BaseHTTPRequestHandler]:
    host = urlsplit(url).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            sent = {
                k: v for k, v in self.headers.items() if k.lower() not in _HOP_BY_HOP | _SECRETS
            }
            connection = http.client.HTTPConnection(host, timeout=60)
            connection.request(self.command, self.path, body, sent | more)
            answer = connection.getresponse()
            received = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP_BY_HOP:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(received)))
            self.end_headers()
            self.wfile.write(received)
            connection.close()

        do_GET = do_POST = do_DELETE = do_OPTIONS = _pass_on  # noqa: N815

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    return Handler
