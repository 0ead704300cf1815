"""Who calls: one mechanism after the other, the default user when none is configured.

A mechanism looks at the evidence a connection offers (a bearer token, a client certificate). What
it does not find it leaves to the next one; what it finds and cannot verify ends the search, so a
forged token never falls through to a weaker mechanism. With mechanisms configured, a request that
satisfies none of them is refused: there is no way back to the default user.
"""

from collections.abc import Awaitable
from typing import Any, Protocol

import msgspec

from kmsd.operations.call import Caller

DEFAULT_USERNAME = "admin"
NAME_CHARACTERS = 255
"""The longest name of a caller, in characters: what the stores keep."""


class AuthenticationFailed(Exception):  # noqa: N818 (what happened, as with KmipError's reasons)
    """The caller did not prove who it is. The text is for the log, never for the caller."""


class Evidence(Protocol):
    """What a door can show of the other side. Nothing in it comes from a forwarded header."""

    @property
    def address(self) -> str:
        """The peer's address as the transport knows it."""

    @property
    def authorization(self) -> str | None:
        """The value of the Authorization header, where the door has one."""

    @property
    def peer_certificate(self) -> Any:
        """The verified client certificate (pyOpenSSL X509), or None."""


class Known(msgspec.Struct, frozen=True):
    """Who calls, where there is more to say than a name: the only operations that are `allowed`."""

    name: str
    allowed: frozenset[str] | None = None


class Mechanism(Protocol):
    """One way to tell who calls."""

    @property
    def name(self) -> str:
        """What the audit event calls it: "jwt", "certificate", "api-token"."""

    def identify(self, evidence: Evidence) -> Awaitable[str | Known | None]:
        """Return the caller's name, or None when there is no evidence of this kind.

        Raises:
            AuthenticationFailed: there is evidence, and it is not good.
        """


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """The rules of the configuration: which mechanisms, in which order, and the default user.

    `mechanisms` are asked in order (tokens before certificates). `force_default_username` still
    asks them, and then calls everybody by the default name. Source: the 4.22.1 server's option.
    """

    default_username: str = DEFAULT_USERNAME
    force_default_username: bool = False
    mechanisms: tuple[Mechanism, ...] = ()

    async def caller(self, evidence: Evidence, door: str) -> Caller:
        """Return who calls through `door`.

        Raises:
            AuthenticationFailed: mechanisms are configured and none of them knows the caller.
        """
        if not self.mechanisms:
            return Caller(self.default_username, "default", door, evidence.address)
        known, mechanism = await self._identified(evidence)
        name = self.default_username if self.force_default_username else known.name
        return Caller(checked_name(name), mechanism, door, evidence.address, known.allowed)

    async def _identified(self, evidence: Evidence) -> tuple[Known, str]:
        for mechanism in self.mechanisms:
            found = await mechanism.identify(evidence)
            if found is not None:
                return (Known(found) if isinstance(found, str) else found), mechanism.name
        raise AuthenticationFailed("no evidence of who calls")


def checked_name(name: str) -> str:
    """Return `name` if a caller may be called so.

    The wildcard of grants is nobody's name, and neither is an empty or unprintable one: a
    certificate with the common name `*` must not inherit everybody's rights.

    Raises:
        AuthenticationFailed: the name cannot be a caller's.
    """
    if name in {"", "*"} or len(name) > NAME_CHARACTERS or not name.isprintable():
        raise AuthenticationFailed("the name of the caller cannot be used")
    return name
