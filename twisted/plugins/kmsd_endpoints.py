"""Registers the endpoint string `kmsd-p12:`; kmsd.tls.endpoints does the work when it is used."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IStreamServerEndpoint, IStreamServerEndpointStringParser
from twisted.plugin import IPlugin
from zope.interface import implementer


@implementer(IPlugin, IStreamServerEndpointStringParser)
class _PKCS12Parser:
    """Every twistd program imports this: so nothing heavy before a string names the prefix."""

    prefix = "kmsd-p12"

    def parseStreamServer(  # type: ignore[override]  # noqa: N802
        self, reactor: Any, *args: str, **kwargs: str
    ) -> IStreamServerEndpoint:
        from kmsd.tls.endpoints import parse

        return parse(reactor, *args, **kwargs)


pkcs12_parser = _PKCS12Parser()
