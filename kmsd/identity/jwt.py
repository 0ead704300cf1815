"""Callers who present a JSON Web Token of an identity provider: their e-mail claim is their name.

What makes a token good: it is signed by a key that its issuer publishes, `iss` is that issuer
exactly, `sub` is there, `exp` is in the future and `nbf` is not, and where audiences are
configured, one of them is in `aud`. Source: the 4.22.1 server's checks; RFC 8725.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from kmsd.identity import AuthenticationFailed, Evidence
from kmsd.identity.bearer import bearer_token
from kmsd.identity.jwks import Jwks
from kmsd.identity.jws import Token, parse, verify

SKEW_SECONDS = 30
"""By how much an issuer's clock may be ahead of ours."""


class Issuer(msgspec.Struct, frozen=True):
    """An identity provider; without `audiences` its tokens are good whomever they are for."""

    name: str
    keys: Jwks
    audiences: frozenset[str] = frozenset()


class JwtMechanism:
    """Tells callers by their tokens. `now` gives seconds since the epoch."""

    name = "jwt"

    def __init__(self, issuers: Iterable[Issuer], now: Callable[[], float]) -> None:
        """Believe `issuers`."""
        self._issuers = {issuer.name: issuer for issuer in issuers}
        self._now = now

    async def warm_up(self) -> None:
        """Fetch every issuer's keys, so that the first caller need not wait."""
        for issuer in self._issuers.values():
            await issuer.keys.refresh()

    async def identify(self, evidence: Evidence) -> str | None:
        """Return the e-mail address that the bearer token states, or None without a token.

        Raises:
            AuthenticationFailed: the token is not good.
        """
        text = bearer_token(evidence)
        if text is None:
            return None
        token = parse(text)
        issuer = self._issuer(token.claims.get("iss"))
        key = await issuer.keys.key(token.key_id)
        if key is None:
            raise AuthenticationFailed("the issuer has no such key, or cannot be asked")
        verify(token, key)
        return _user(token, issuer, self._now())

    def _issuer(self, stated: object) -> Issuer:
        issuer = self._issuers.get(stated) if isinstance(stated, str) else None
        if issuer is None:
            raise AuthenticationFailed("the token is by an issuer that is not believed")
        return issuer


def _user(token: Token, issuer: Issuer, now: float) -> str:
    """Return who a token whose signature is verified is about."""
    claims = token.claims
    if not isinstance(claims.get("sub"), str) or not claims["sub"]:
        raise AuthenticationFailed("the token has no subject (sub)")
    if _time(claims, "exp") <= now:
        raise AuthenticationFailed("the token has expired (exp)")
    if "nbf" in claims and _time(claims, "nbf") > now + SKEW_SECONDS:
        raise AuthenticationFailed("the token is not valid yet (nbf)")
    if issuer.audiences and not issuer.audiences & _audiences(claims.get("aud")):
        raise AuthenticationFailed("the token is for another audience (aud)")
    return _email(claims)


def _time(claims: dict[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise AuthenticationFailed(f"the token's {name} is no time")
    return value


def _audiences(value: object) -> frozenset[str]:
    values = value if isinstance(value, list) else [value]
    return frozenset(each for each in values if isinstance(each, str))


def _email(claims: dict[str, Any]) -> str:
    """Return the e-mail claim.

    It must look like an address, so that no token makes its bearer `admin` or another name that is
    not a mail user's; and an issuer that says it has not checked the address is taken at its word.
    """
    email = claims.get("email")
    if not isinstance(email, str) or not looks_like_email(email):
        raise AuthenticationFailed("the token has no e-mail address (email)")
    if claims.get("email_verified", True) not in (True, "true"):
        raise AuthenticationFailed("the issuer has not verified the e-mail address")
    return email


def looks_like_email(name: str) -> bool:
    """Tell whether a name is NAME@DOMAIN, without blanks or a colon."""
    local, _, domain = name.partition("@")
    odd = "@" in domain or ":" in name or any(each.isspace() for each in name)
    return bool(local and domain) and not odd
