"""Lets txacme's service, written for the first ACME protocol, use the client of RFC 8555.

The service calls ten things on "its client"; here they are, each returning a Deferred. One adapter
carries one certificate: it remembers the order between the calls.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from acme import messages  # type: ignore[import-untyped]
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from josepy.b64 import b64encode
from twisted.internet.defer import Deferred

from kmsd.acme.client import POLL_SECONDS, AcmeClient, AcmeError, Answer

P = ParamSpec("P")
T = TypeVar("T")


def _deferred(method: Callable[P, Awaitable[T]]) -> Callable[P, Deferred[T]]:
    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> Deferred[T]:
        return Deferred.fromCoroutine(method(*args, **kwargs))  # type: ignore[arg-type]

    return call


class Issued:
    """A certificate as txacme wants it: DER in `body`."""

    def __init__(self, certificate: x509.Certificate) -> None:
        self.body = certificate.public_bytes(Encoding.DER)


class OneOrder:
    """The client of one certificate, preferring one kind of challenge."""

    def __init__(self, client: AcmeClient, challenge_type: str) -> None:
        self._client, self._challenge_type = client, challenge_type
        self._order_url = ""
        self._chain: list[x509.Certificate] = []
        self.key = client.key.jwk

    @_deferred
    async def register(self, registration: Any) -> Any:
        """Create or find the account of the mail address in `registration`."""
        emails = registration.emails
        url = await self._client.register(emails[0] if emails else None)
        return messages.RegistrationResource(body=registration, uri=url)

    @_deferred
    async def agree_to_tos(self, registration: Any) -> Any:
        """Do nothing: agreeing is part of creating an account."""
        return registration

    @_deferred
    async def request_challenges(self, identifier: Any) -> Any:
        """Order a certificate for the name; return its authorization."""
        order = await self._client.new_order([identifier.value])
        self._order_url = order.own_url()
        urls = order.json().get("authorizations")
        if not isinstance(urls, list) or len(urls) != 1:
            raise AcmeError(f"{order.url}: the order of one name has not one authorization")
        return self._authorization(await self._client.fetch(urls[0]))

    @_deferred
    async def answer_challenge(self, challenge: Any, _response: Any) -> Any:
        """Say that the challenge can be checked, unless it was before (reused authorizations)."""
        if challenge.status == messages.STATUS_PENDING:
            await self._client.accept(challenge.uri)
        return challenge

    @_deferred
    async def poll(self, authorization: Any) -> tuple[Any, float]:
        """Look how the authorization stands, and in how many seconds to look again."""
        answer = await self._client.fetch(authorization.uri)
        if answer.text("status") == "invalid":
            raise AcmeError(f"{answer.url}: {_failed(answer)}", "unauthorized")
        return self._authorization(answer), answer.retry_after_seconds or POLL_SECONDS

    @_deferred
    async def request_issuance(self, request: Any) -> Issued:
        """Hand in the CSR; return the certificate, checked to be for its key and name."""
        csr = request.csr
        encoded = b64encode(csr.public_bytes(Encoding.DER)).decode()
        order = await self._client.finalize(self._order_url, encoded)
        answer = await self._client.fetch(order.text("certificate"))
        leaf, *self._chain = _certificates(answer)
        _check(answer.url, leaf, csr)
        return Issued(leaf)

    @_deferred
    async def fetch_chain(self, _issued: Issued) -> Sequence[Issued]:
        """Return the certificates that came with the leaf."""
        return [Issued(each) for each in self._chain]

    def _authorization(self, answer: Answer) -> Any:
        body = answer.json()
        challenges = [each for each in body.get("challenges", []) if isinstance(each, dict)]
        if body.get("status") == "valid":
            # A reused authorization may list only the challenge that was met long ago: it will do.
            challenges = [{**each, "type": self._challenge_type} for each in challenges[:1]]
        offered = [each for each in challenges if each.get("type") == self._challenge_type]
        known = {
            "identifier": body.get("identifier"),
            "status": body.get("status"),
            "challenges": offered,
            "combinations": [[index] for index in range(len(offered))],
        }
        return messages.AuthorizationResource(
            body=messages.Authorization.from_json(known), uri=answer.url
        )


def _certificates(answer: Answer) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(answer.body)
    except ValueError as error:
        raise AcmeError(f"{answer.url}: not a PEM certificate chain") from error


def _check(url: str, leaf: x509.Certificate, csr: x509.CertificateSigningRequest) -> None:
    if _public(leaf) != _public(csr):
        raise AcmeError(f"{url}: the certificate is for another key")
    if not _names(csr) <= _names(leaf):
        raise AcmeError(f"{url}: the certificate is for another name")


def _public(holder: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    return holder.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _names(holder: x509.Certificate | x509.CertificateSigningRequest) -> set[str]:
    extension = holder.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return {each.lower() for each in extension.value.get_values_for_type(x509.DNSName)}


def _failed(answer: Answer) -> str:
    for each in answer.json().get("challenges", []):
        error = each.get("error") if isinstance(each, dict) else None
        if isinstance(error, dict):
            return f"{each.get('type')} failed: {str(error.get('detail'))[:500]}"
    return "the CA could not check the challenge"
