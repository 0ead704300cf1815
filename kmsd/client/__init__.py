"""A client of this server, and of any that speaks KMIP: the server's own structures and codecs.

    http = Http(reactor, url, tls=TlsOptions(…), headers=credentials(token=…))
    await HttpKms(http)(Create(…))                    # JSON, POST /kmip/2_1
    await KmipKms(over_http(http))(Create(…))         # binary, POST /kmip
    await KmipKms(KmipPool(reactor, host).exchange)(Create(…))  # binary, TLS on port 5696

Whatever fails raises `ClientError`, with a reason and a text.
"""

from kmsd.client.connections import KMIP_PORT, KmipConnection, KmipPool
from kmsd.client.errors import ClientError, Trouble
from kmsd.client.http import Http
from kmsd.client.kms import HttpKms, KmipKms, over_http
from kmsd.client.tls import TlsOptions

__all__ = [
    "KMIP_PORT",
    "ClientError",
    "Http",
    "HttpKms",
    "KmipConnection",
    "KmipKms",
    "KmipPool",
    "TlsOptions",
    "Trouble",
    "credentials",
    "over_http",
]


def credentials(token: str | None = None, database_secret: str | None = None) -> dict[str, str]:
    """Return the headers that say who calls, and which encrypted database is meant."""
    headers = {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if database_secret:
        headers["KmsDatabaseSecret"] = database_secret
        headers["DatabaseSecret"] = database_secret
    return headers
