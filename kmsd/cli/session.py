"""What a command works with: the settings, the server, and where it may write."""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import msgspec

from kmsd.cli.configuration import Configuration, configured
from kmsd.cli.errors import CommandFailed
from kmsd.cli.outcome import Format
from kmsd.cli.tree import Globals
from kmsd.client import Http, HttpKms, TlsOptions, credentials
from kmsd.client.http import CONNECT_SECONDS
from kmsd.kmip.json_dialects import Spelling
from kmsd.ttlv.schema import Structure


class Session:
    """One command's dealings with one server."""

    def __init__(self, reactor: Any, options: Globals) -> None:
        """Begin; nothing is read or connected to until it is needed."""
        self.reactor = reactor
        self.options = options
        self._http: Http | None = None
        self._shows_progress = False

    @functools.cached_property
    def configuration(self) -> Configuration:
        """The settings. Raises: CommandFailed."""
        options = self.options
        found = configured(
            options.conf_path,
            options.program,
            overrides={
                "server_url": options.url,
                "accept_invalid_certs": options.accept_invalid_certs or None,
                "print_json": options.print_json or None,
            },
        )
        for name in found.unknown:
            self.note(f"{found.path}: there is no setting {name!r}")
        return found

    @property
    def http(self) -> Http:
        """The server. Raises: CommandFailed, ClientError."""
        if self._http is None:
            settings = self.configuration
            self._http = Http(
                self.reactor,
                settings.server_url,
                tls=_tls(settings),
                headers=credentials(settings.access_token, settings.database_secret),
                request_seconds=settings.timeout,
                connect_seconds=min(settings.timeout, CONNECT_SECONDS),
            )
        return self._http

    @functools.cached_property
    def kms(self) -> HttpKms:
        """The server's operations, by the rules of 4.x: a new key can be used at once."""
        return HttpKms(self.http, Spelling.V4, self._show)

    @property
    def kms_5(self) -> HttpKms:
        """The same by KMIP's rules, with all attributes and operations in parts."""
        return self.kms.speaking(Spelling.V5)

    async def __call__(self, request: Structure) -> Any:
        """Carry out an operation by the rules of 4.x. Raises: ClientError."""
        return await self.kms(request)

    def note(self, text: str) -> None:
        """Say something that is not the outcome."""
        if self.options.output is not Format.QUIET:
            click.echo(text, err=True)

    @contextlib.contextmanager
    def progress(self, length: int, label: str) -> Iterator[Any]:
        """Show a progress bar: on a terminal, if there is something to wait for, one at a time."""
        quiet = self.options.output in {Format.QUIET, Format.JSON} or not sys.stderr.isatty()
        hidden = quiet or self._shows_progress or length < 2  # noqa: PLR2004 (nothing to wait for)
        self._shows_progress = self._shows_progress or not hidden
        with click.progressbar(length=length, label=label, file=sys.stderr, hidden=hidden) as bar:
            yield bar
        self._shows_progress = self._shows_progress and hidden

    async def close(self) -> None:
        """Hang up."""
        if self._http is not None:
            await self._http.close()

    def _show(self, what: str, body: bytes) -> None:
        if self.configuration.print_json:
            click.echo(f"{what}:\n{msgspec.json.format(body, indent=2).decode()}", err=True)


def _tls(settings: Configuration) -> TlsOptions:
    return TlsOptions(
        accept_invalid_certs=settings.accept_invalid_certs,
        authorities=_contents(settings.ca_cert),
        pinned=settings.verified_cert.encode() if settings.verified_cert else None,
        pkcs12=_contents(settings.ssl_client_pkcs12_path),
        pkcs12_password=settings.ssl_client_pkcs12_password,
    )


def _contents(path: str | None) -> bytes | None:
    if path is None:
        return None
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise CommandFailed(
            f"{path}, which the configuration names, cannot be read: {error.strerror}"
        ) from None
