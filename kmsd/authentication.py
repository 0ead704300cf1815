"""From options to who calls: which mechanisms there are, and in which order they are asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from kmsd.databases import Databases, token_source
from kmsd.identity import Identity, Mechanism
from kmsd.identity.certificate import CertificateMechanism
from kmsd.identity.fetching import Fetcher
from kmsd.identity.jwks import Fetch, Jwks
from kmsd.identity.jwt import Issuer, JwtMechanism
from kmsd.identity.tokens import ApiKeyMechanism, ApiTokenMechanism
from kmsd.settings import Settings
from kmsd.store.interfaces import Record
from kmsd.store.tokens import TokenStore
from kmsd.tls.credentials import CertificateError
from kmsd.tls.endpoints import PREFIX
from kmsd.tls.peer import client_name

WELL_KNOWN = "/.well-known/jwks.json"


Step = Callable[[], Coroutine[Any, Any, object]]


@dataclass(frozen=True)
class Provider:
    """An identity provider, as the options name it."""

    issuer: str
    jwks_uri: str
    audiences: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Authentication:
    """The rules, and what they need of the start and the end of the server."""

    identity: Identity
    warm_up: tuple[Step, ...] = ()
    close: tuple[Step, ...] = ()


def authentication(settings: Settings, reactor: Any, databases: Databases) -> Authentication:
    """Return who calls, by the settings: API tokens, JWT, certificates, the key of the server.

    Raises:
        CertificateError: --jwks-ca-file cannot be used.
        StoreError: the database of the tokens cannot be used.
    """
    mechanisms: list[Mechanism] = []
    tokens = _tokens(settings, reactor) if settings.api_tokens else None
    if tokens is not None:
        mechanisms.append(ApiTokenMechanism(tokens.proved))
    jwt = _jwt(settings, reactor)
    if jwt is not None:
        mechanisms.append(jwt)
    if asks_certificates(settings):
        marked = marks_certificates(settings)
        mechanisms.append(CertificateMechanism(client_name, time.time, marked=marked))
    elif jwt is None and settings.api_token_id:
        mechanisms.append(_api_key(settings, databases))
    return Authentication(
        Identity(
            default_username=settings.default_username,
            force_default_username=settings.force_default_username,
            mechanisms=tuple(mechanisms),
        ),
        warm_up=() if jwt is None else (jwt.warm_up,),
        close=() if tokens is None else (tokens.close,),
    )


def _tokens(settings: Settings, reactor: Any) -> TokenStore:
    return TokenStore(reactor, token_source(settings), time.time, settings.object_cache_seconds)


def _jwt(settings: Settings, reactor: Any) -> JwtMechanism | None:
    found = list(providers(settings))
    if not found:
        return None
    try:
        fetch: Fetch = Fetcher(reactor, settings.below_root(settings.jwks_ca_file))
    except (ValueError, OSError) as error:
        raise CertificateError(f"--jwks-ca-file: {error}") from None
    issuers = [
        Issuer(each.issuer, Jwks(each.jwks_uri, fetch, reactor.seconds), each.audiences)
        for each in found
    ]
    return JwtMechanism(issuers, time.time)


def _api_key(settings: Settings, databases: Databases) -> ApiKeyMechanism:
    store, uid = databases.only, settings.api_token_id

    async def lookup() -> Record | None:
        return None if store is None else await store.get(uid)

    return ApiKeyMechanism(lookup, settings.default_username, time.time)


def providers(settings: Settings) -> Iterator[Provider]:
    """Return the identity providers of all the options that name some."""
    lists = (settings.jwt_issuer_uri, settings.jwks_uri, settings.jwt_audience)
    for issuer, jwks_uri, audience in zip_longest(*lists, fillvalue=""):
        yield _provider(issuer, jwks_uri, audience)
    for text in settings.jwt_auth_provider:
        issuer, jwks_uri, *audiences = [*(part.strip() for part in text.split(",")), ""]
        yield _provider(issuer, jwks_uri, *audiences)
    if domain := settings.auth0_authority_domain:
        yield _provider(f"https://{domain}/")


def _provider(issuer: str, jwks_uri: str = "", *audiences: str) -> Provider:
    where = jwks_uri or issuer.removesuffix("/") + WELL_KNOWN
    return Provider(issuer, where, frozenset(each for each in audiences if each))


def asks_certificates(settings: Settings) -> bool:
    """Say whether clients are asked for certificates, on some port at least."""
    return bool(settings.authority_cert_file) or any(
        each.startswith(f"{PREFIX}:") and "clientCA=" in each for each in settings.endpoint
    )


def marks_certificates(settings: Settings) -> bool:
    """Say whether a certificate's name could be taken for a token's e-mail address."""
    return any(providers(settings)) and not settings.shared_user_names


def notices(settings: Settings) -> Iterator[str]:
    """Say what an operator may not expect of the rules."""
    if asks_certificates(settings) and marks_certificates(settings):
        yield (
            "callers are known by JWT and by certificate: one whose certificate is called NAME@HOST"
            " is the user cn:NAME@HOST; with --shared-user-names it is the user of the token"
        )
    if len(list(providers(settings))) > 1:
        yield "several issuers of JWT: whom any of them calls by an e-mail address is that user"
    by_others = asks_certificates(settings) or any(providers(settings))
    if settings.api_token_id and by_others:
        yield "--api-token-id is not used: callers are known by JWT or certificate"
    if settings.force_default_username:
        yield f"every caller is the user {settings.default_username} (--force-default-username)"
