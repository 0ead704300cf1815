"""The endpoint string `kmsd-p12:` (PKCS#12 over any other endpoint), for any twistd program.

    kmsd-p12:server.p12:tcp:9998:interface=0.0.0.0:passwordFile=password.txt
    kmsd-p12:server.p12:systemd:domain=INET:index=0:clientCA=ca.pem

The password is the content of `passwordFile`, else the variable KMS_HTTPS_P12_PASSWORD; it has no
place in the string, which every user of the machine can read in the process list.
"""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import (
    IListeningPort,
    IProtocolFactory,
    IReactorCore,
    IStreamServerEndpoint,
)
from zope.interface import implementer

from kmsd import systemd
from kmsd.tls.credentials import read_password
from kmsd.tls.listening import secure_with_files
from kmsd.tls.reload import CertificateFiles

PREFIX = "kmsd-p12"
PASSWORD_VARIABLE = "KMS_HTTPS_P12_PASSWORD"  # noqa: S105 - a name


def server_endpoint(reactor: IReactorCore, description: str) -> IStreamServerEndpoint:
    """Return the endpoint that `description` (Twisted's notation) stands for.

    Raises:
        ValueError: not an endpoint, or a systemd socket that was not handed over.
        CertificateError: a certificate file it names cannot be used.
    """
    try:
        endpoint: IStreamServerEndpoint = serverFromString(reactor, description)
    except (IndexError, KeyError) as error:
        if "systemd" not in description:
            raise ValueError(f"not an endpoint: {description}") from error
        told = "has no such" if systemd.has_sockets() else "handed over no"
        raise ValueError(f"{description}: the service manager {told} socket") from error
    return endpoint


def speaks_tls(description: str) -> bool:
    """Say whether an endpoint string brings its own TLS, so that none is to be laid over it."""
    return description.startswith((f"{PREFIX}:", "ssl:", "tls:", "le:", "lets:", "txsni:"))


def parse(
    reactor: IReactorCore,
    path: str,
    *inner: str,
    passwordFile: str | None = None,  # noqa: N803
    clientCA: str | None = None,  # noqa: N803
    **options: str,
) -> IStreamServerEndpoint:
    """Make the endpoint of `kmsd-p12:path:inner…:options…`; the rest belongs to the inner one.

    Raises:
        ValueError: there is no inner endpoint.
        CertificateError: the file or its password cannot be used.
    """
    if not inner:
        raise ValueError("kmsd-p12: name the endpoint after the file, e.g. kmsd-p12:FILE:tcp:9998")
    files = CertificateFiles(
        pkcs12=Path(path),
        password=os.environ.get(PASSWORD_VARIABLE)
        if passwordFile is None
        else read_password(Path(passwordFile)),
        authorities=None if clientCA is None else Path(clientCA),
    )
    return PKCS12Endpoint(reactor, files, server_endpoint(reactor, _join(inner, options)))


@implementer(IStreamServerEndpoint)
class PKCS12Endpoint:
    """TLS with a PKCS#12 file on another endpoint; SIGHUP reads the file again."""

    def __init__(
        self, reactor: IReactorCore, files: CertificateFiles, inner: IStreamServerEndpoint
    ) -> None:
        secure = secure_with_files(reactor, files)
        self._service = secure.service
        self._endpoint = secure.endpoint(inner)

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:  # noqa: N803
        """Listen, and from then on reload on SIGHUP."""
        listening = self._endpoint.listen(protocolFactory)
        if not self._service.running:
            self._service.startService()
        return listening


def _join(arguments: tuple[str, ...], options: dict[str, str]) -> str:
    # Twisted took the string apart and the escapes out; put both back for the inner parser.
    pairs = [f"{_quote(name)}={_quote(value)}" for name, value in options.items()]
    return ":".join([*(_quote(each) for each in arguments), *pairs])


def _quote(text: str) -> str:
    return "".join("\\" + each if each in "\\:=" else each for each in text)
