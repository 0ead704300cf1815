"""Callers whose TLS client certificate says who they are, by its common name."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

from kmsd.identity import AuthenticationFailed, Evidence

MARK = "cn:"
_CACHED = 4096


class Named(Protocol):
    """Whom a certificate names."""

    def at(self, now: float, /) -> str | None:
        """Return the name while the certificate is in its time (seconds since the epoch)."""


class CertificateMechanism:
    """Tells callers by the certificate that the TLS handshake has verified.

    Args:
        read: the rule for names: whom a certificate (of pyca) names.
        now: seconds since the epoch.
        marked: call a name that has an @ `cn:NAME`, so that nobody takes it for the e-mail address
            that a token states. No other mechanism makes such names.
    """

    name = "certificate"

    def __init__(
        self, read: Callable[[Any], Named], now: Callable[[], float], *, marked: bool = False
    ) -> None:
        self._read, self._now, self._marked = read, now, marked
        self._names: OrderedDict[bytes, Named] = OrderedDict()

    async def identify(self, evidence: Evidence) -> str | None:
        """Return the common name of the client's certificate, or None without one.

        Raises:
            AuthenticationFailed: the certificate names nobody.
        """
        peer = evidence.peer_certificate
        if peer is None:
            return None
        name = self._named(peer).at(self._now())
        if name is None:
            raise AuthenticationFailed("the client certificate names nobody")
        return f"{MARK}{name}" if self._marked and "@" in name else name

    def _named(self, peer: Any) -> Named:
        """Read a certificate once: it takes longer than most requests."""
        digest: bytes = peer.digest("sha256")
        named = self._names.get(digest)
        if named is None:
            try:
                named = self._names[digest] = self._read(peer.to_cryptography())
            except Exception as error:  # noqa: BLE001 (whatever pyca cannot parse, OpenSSL can)
                kind = type(error).__name__
                raise AuthenticationFailed(f"unreadable client certificate ({kind})") from None
            if len(self._names) > _CACHED:
                self._names.popitem(last=False)
        return named
