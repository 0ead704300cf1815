"""A JSON Web Token taken apart, strictly, and its signature verified.

The header is hostile until the signature is verified, and afterwards it is still only what the
issuer wrote: it never says where keys are, nor which kind of algorithm is good enough.
Source: RFC 7515, RFC 7519, RFC 8725.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import Any, NoReturn

import msgspec
from joserfc import jws
from joserfc.jwk import Key

from kmsd.identity import AuthenticationFailed

ALGORITHMS = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Signatures by key pairs only: with a MAC, whoever can verify a token can also make one."""

LARGEST_TOKEN = 16_384
"""Characters; a proxy's limit for all the headers of a request is usually smaller."""

_COMPACT = re.compile(r"([\w-]+)\.([\w-]+)\.([\w-]+)", re.ASCII)
_TYPES = {"jwt", "at+jwt"}  # others (logout+jwt, dpop+jwt …) are no statement of who calls


class Token(msgspec.Struct, frozen=True):
    """A token taken apart; nothing in it is verified."""

    text: str
    algorithm: str
    key_id: str
    claims: dict[str, Any]

    def __repr__(self) -> str:
        """Leave the content out."""
        return f"Token({self.algorithm})"


def parse(text: str) -> Token:
    """Take a token apart.

    Raises:
        AuthenticationFailed: it is none, or of a kind that is not accepted.
    """
    found = _COMPACT.fullmatch(text) if len(text) <= LARGEST_TOKEN else None
    if found is None:
        raise AuthenticationFailed("the bearer token is no signed JWT")
    header = _object(found[1])
    _check_header(header)
    return Token(text, header["alg"], header["kid"], _object(found[2]))


def _check_header(header: dict[str, Any]) -> None:
    if not _is_text(header.get("kid")):
        raise AuthenticationFailed("the token names no key (kid)")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise AuthenticationFailed("the token's algorithm is not accepted")
    if "crit" in header or "b64" in header:
        raise AuthenticationFailed("the token has extensions that are not understood")
    kind = header.get("typ", "jwt")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES:
        raise AuthenticationFailed("the token is of a type that does not say who calls")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _object(segment: str) -> dict[str, Any]:
    """Return the JSON object of a segment; names that occur twice are refused."""
    try:
        raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
        if base64.urlsafe_b64encode(raw).rstrip(b"=") != segment.encode():
            raise AuthenticationFailed("the token is not in canonical base64url")
        value = json.loads(raw.decode(), object_pairs_hook=_members, parse_constant=_refuse)
    except (binascii.Error, ValueError, RecursionError):
        raise AuthenticationFailed("the token is not JSON in base64url") from None
    if not isinstance(value, dict):
        raise AuthenticationFailed("the token is not made of JSON objects")
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise AuthenticationFailed("the token says something twice")
    return members


def _refuse(_word: str) -> NoReturn:
    raise AuthenticationFailed("the token has a number that is none")


class _Registry(jws.JWSRegistry):
    """joserfc's rules, with room for issuers that put certificates into the header."""

    max_header_length = LARGEST_TOKEN
    max_signature_length = LARGEST_TOKEN


_REGISTRY = _Registry(algorithms=sorted(ALGORITHMS), strict_check_header=False)


def verify(token: Token, key: Key) -> None:
    """Verify the signature of `token` by `key`.

    Raises:
        AuthenticationFailed: it is not by this key, or the key is not for this algorithm.
    """
    try:
        jws.deserialize_compact(token.text, key, [token.algorithm], _REGISTRY)
    except Exception as error:  # noqa: BLE001 (whatever the library stumbles over: not verified)
        name = type(error).__name__
        raise AuthenticationFailed(f"the token's signature is not verified ({name})") from None
