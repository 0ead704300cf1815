"""From options to listening ports: endpoint strings, and errors an operator can act on."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocolFactory, IReactorCore
from twisted.python.failure import Failure

from kmsd.tls.endpoints import server_endpoint, speaks_tls
from kmsd.tls.listening import Secure

# Connections that may wait to be accepted; the kernel's own limit holds as well.
_BACKLOG = 1024


class CannotListen(Exception):  # noqa: N818 (Twisted's word)
    """A port could not be opened; the text is one line for the operator."""


def tcp(hostname: str, port: int) -> str:
    """Return the endpoint string of a plain TCP port."""
    return f"tcp:{port}:interface={quoteStringArgument(hostname)}:backlog={_BACKLOG}"


def listen(
    reactor: IReactorCore,
    descriptions: Iterable[str],
    factory: IProtocolFactory,
    secure: Secure | None = None,
) -> list[IListeningPort]:
    """Listen on every endpoint, or on none of them; with `secure`, on none without TLS.

    Raises:
        CannotListen: an endpoint cannot be used; the ones before it are closed again.
    """
    ports: list[IListeningPort] = []
    try:
        for description in descriptions:
            port = _listen(reactor, description, factory, secure)
            ports.append(port)
    except CannotListen:
        for port in ports:
            port.stopListening()
        raise
    return ports


def _listen(
    reactor: IReactorCore, description: str, factory: IProtocolFactory, secure: Secure | None
) -> IListeningPort:
    try:
        endpoint = server_endpoint(reactor, description)
        if secure is not None and not speaks_tls(description):
            endpoint = secure.endpoint(endpoint)
        return _result(endpoint.listen(factory))
    except CannotListenError as error:
        cause = getattr(error.socketError, "strerror", None) or str(error.socketError)
        where = f"{error.interface or '0.0.0.0'}:{error.port}"
        raise CannotListen(
            f"cannot listen on {where}: {cause.lower()}; choose another --port or --hostname"
        ) from None
    except (ValueError, TypeError, OSError) as error:
        raise CannotListen(f"--endpoint: {description!r} cannot be used: {error}") from None


def _result(listening: Deferred[IListeningPort]) -> IListeningPort:
    """Return what a Deferred already has: Twisted's server endpoints listen at once."""
    results: list[Any] = []
    listening.addBoth(results.append)
    if not results:
        raise ValueError("it does not listen at once")
    if isinstance(results[0], Failure):
        results[0].raiseException()
    port: IListeningPort = results[0]
    return port


def url(port: IListeningPort, scheme: str = "http") -> str:
    """Return the URL of a listening port, or its address where it has none."""
    address: Any = port.getHost()
    host = getattr(address, "host", None)
    if host is None:
        return str(address)
    return (
        f"{scheme}://[{host}]:{address.port}"
        if ":" in host
        else f"{scheme}://{host}:{address.port}"
    )


def beyond_loopback(port: IListeningPort) -> bool:
    """Say whether other machines can reach the port."""
    host = getattr(port.getHost(), "host", None)
    return host is not None and not ipaddress.ip_address(host.partition("%")[0]).is_loopback
