"""`login` and `logout`: an access token from an OpenID Connect provider, kept in the configuration.

The authorization code flow with PKCE: the browser is sent to the provider, which sends it back to a
port of this machine with a code, which buys the token.
Source: RFC 6749 §4.1, RFC 7636, RFC 8252 §7.3; the settings are the product's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import webbrowser
from typing import Any
from urllib.parse import parse_qs, urlencode

import click
import msgspec

from kmsd.cli.configuration import OAuth2, kept_token
from kmsd.cli.errors import CommandFailed
from kmsd.cli.options import SECRET, SECRET_HELP
from kmsd.cli.outcome import Outcome
from kmsd.cli.session import Session
from kmsd.cli.tree import Command

PORT = 17899
PATH = "/token"
_PATIENCE_SECONDS = 300


@click.command(cls=Command)
@click.option("--token", type=SECRET, help=f"Keep this token; ask no provider. {SECRET_HELP}")
@click.option(
    "--port", type=int, default=PORT, show_default=True, help="Where the browser comes back to."
)
@click.option("--no-browser", is_flag=True, help="Only print the address to open.")
async def login(session: Session, *, token: str | None, port: int, no_browser: bool) -> Outcome:
    """Get an access token from the identity provider and keep it in the configuration."""
    settings = session.configuration
    if token is None:
        if settings.oauth2_conf is None or not settings.oauth2_conf.authorize_url:
            raise CommandFailed(
                "the configuration names no identity provider: set oauth2_conf (client_id,"
                " client_secret, authorize_url, token_url, scopes), or bring a token: --token -"
            )
        token = await _bought(session, settings.oauth2_conf, port, opens=not no_browser)
    path = kept_token(settings, token)
    return Outcome(
        stdout=f"Success! The access token was saved in the KMS configuration file {path}"
    )


@click.command(cls=Command)
async def logout(session: Session) -> Outcome:
    """Forget the access token."""
    path = kept_token(session.configuration, None)
    return Outcome(stdout=f"The access token was removed from the KMS configuration file {path}")


async def _bought(session: Session, provider: OAuth2, port: int, *, opens: bool) -> str:
    """Have the user sign in; return the token."""
    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(64)
    back = f"http://localhost:{port}{PATH}"
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=")
    query = urlencode(
        {
            "response_type": "code",
            "client_id": provider.client_id,
            "redirect_uri": back,
            "scope": " ".join(provider.scopes or ("openid", "email")),
            "state": state,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
    )
    separator = "&" if "?" in provider.authorize_url else "?"
    address = f"{provider.authorize_url}{separator}{query}"
    session.note(f"Sign in at:\n\n{address}\n")
    if opens:
        webbrowser.open(address)
    code = await _code(session.reactor, port, state)
    return await _token(
        session,
        provider,
        {
            "grant_type": "authorization_code",
            "redirect_uri": back,
            "client_id": provider.client_id,
            "client_secret": provider.client_secret,
            "code_verifier": verifier,
            "code": code,
        },
    )


async def _code(reactor: Any, port: int, state: str) -> str:
    """Wait for the browser to come back with the code."""
    from twisted.internet.defer import Deferred
    from twisted.internet.error import CannotListenError
    from twisted.internet.error import TimeoutError as NoAnswer
    from twisted.web.resource import Resource
    from twisted.web.server import Site

    answer: Deferred[str] = Deferred()

    class Back(Resource):
        isLeaf = True  # noqa: N815 (Twisted's name)

        def render_GET(self, request: Any) -> bytes:  # noqa: N802 (Twisted's name)
            found = parse_qs(request.uri.partition(b"?")[2].decode("ascii", "replace"))
            given = found.get("state", [""])[0]
            if request.path.decode() != PATH or not hmac.compare_digest(
                given.encode(), state.encode()
            ):
                request.setResponseCode(404)
                return b""
            if not answer.called:
                _settle(answer, found)
            request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
            return b"You can close this page and return to the command line."

    try:
        site = Site(Back())  # type: ignore[no-untyped-call]
        listening = reactor.listenTCP(port, site, interface="127.0.0.1")
    except CannotListenError:
        raise CommandFailed(f"port {port} is in use: choose another with --port") from None
    answer.addTimeout(_PATIENCE_SECONDS, reactor)
    try:
        return await answer
    except NoAnswer:
        raise CommandFailed("nobody signed in: try again") from None
    finally:
        await listening.stopListening()


def _settle(answer: Any, found: dict[str, list[str]]) -> None:
    if "code" in found:
        answer.callback(found["code"][0])
    else:
        reason = found.get("error_description", found.get("error", ["no code"]))[0]
        answer.errback(CommandFailed(f"the identity provider refuses: {reason[:200]}"))


async def _token(session: Session, provider: OAuth2, form: dict[str, str]) -> str:
    """Buy the token with the code; an ID token is what says who calls."""
    from kmsd.client import Http

    http = Http(session.reactor, provider.token_url, headers={"Accept": "application/json"})
    try:
        answer = await http.request(
            "POST", "", urlencode(form).encode(), "application/x-www-form-urlencoded"
        )
        found = msgspec.json.decode(answer, type=dict[str, Any])
    except msgspec.MsgspecError:
        raise CommandFailed("the identity provider's answer is not JSON") from None
    finally:
        await http.close()
    token = found.get("id_token") or found.get("access_token")
    if not isinstance(token, str) or not token:
        raise CommandFailed("the identity provider gave no token")
    return token
