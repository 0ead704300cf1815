"""The RFC 8555 client against an authority that checks every signature, nonce and URL."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from kmsd.acme.client import NONCE_TRIES, AcmeClient, AcmeError, retry_after_seconds
from kmsd.acme.jose import AccountKey
from tests.unit.acme.fake_ca import DIRECTORY, FakeCA, Refused, in_memory


class Fixture:
    """A client and its authority."""

    def __init__(self, key: ec.EllipticCurvePrivateKey | None = None) -> None:
        self.ca = FakeCA()
        self.clock = Clock()
        account = AccountKey(key or ec.generate_private_key(ec.SECP256R1()))
        self.client = AcmeClient(in_memory(self.ca), self.clock, DIRECTORY, account)

    def ends(self, coroutine: Any) -> Any:
        """Return the result of what must end without anybody else's help."""
        results: list[Any] = []
        deferred: Deferred[Any] = Deferred.fromCoroutine(coroutine)
        deferred.addBoth(results.append)
        assert results, "still waiting"
        if hasattr(results[0], "raiseException"):
            results[0].raiseException()
        return results[0]

    def refused(self, coroutine: Any) -> AcmeError:
        with pytest.raises(AcmeError) as caught:
            self.ends(coroutine)
        return caught.value


@pytest.fixture
def both() -> Fixture:
    return Fixture()


def test_an_account_is_found_again_by_its_key(both: Fixture) -> None:
    """Registering twice gives the same URL; the mail address is sent as a contact."""
    first = both.ends(both.client.register("admin@example.test"))
    assert both.ends(both.client.register("admin@example.test")) == first
    assert both.ca.accounts[first]["contact"] == ["mailto:admin@example.test"]
    assert both.ends(both.client.register(None)) == first
    assert both.ca.accounts[first]["contact"] is None


@pytest.mark.parametrize("refusals", [1, 2, NONCE_TRIES - 1])
def test_refused_nonces_are_replaced(both: Fixture, refusals: int) -> None:
    """As long as one of sixteen nonces is good, the request goes through."""
    both.ca.moods.refused_nonces = refusals
    assert both.ends(both.client.register(None))
    assert both.ca.requests.count("POST account") == refusals + 1


def test_nonces_are_not_tried_for_ever(both: Fixture) -> None:
    """An authority that refuses every nonce is given up after sixteen."""
    both.ca.moods.refused_nonces = NONCE_TRIES
    assert both.refused(both.client.register(None)).kind == "badNonce"
    assert both.ca.requests.count("POST account") == NONCE_TRIES


def test_nonces_are_taken_from_every_answer(both: Fixture) -> None:
    """The directory's answer brings the first nonce, each answer the next: none is asked for."""
    both.ends(both.client.register(None))
    order = both.ends(both.client.new_order(["kms.test"]))
    both.ends(both.client.fetch(order.own_url()))
    assert "HEAD nonce" not in both.ca.requests
    both.client.forget()
    both.ca.moods.no_nonce = True
    both.refused(both.client.fetch(order.own_url()))
    assert both.ca.requests[-1] == "HEAD nonce"


def test_a_forgotten_account_is_introduced_again(both: Fixture) -> None:
    """An authority that knows neither account nor nonces still takes the next order."""
    both.ends(both.client.register("admin@example.test"))
    both.ca.forget()
    assert both.ends(both.client.new_order(["kms.test"])).location
    assert next(iter(both.ca.accounts.values()))["contact"] == ["mailto:admin@example.test"]


def test_an_order_goes_from_pending_to_certificate(both: Fixture) -> None:
    """Finalizing waits, as long as the authority asks each time, until the order is valid."""
    client, ca = both.client, both.ca
    ca.moods.processing = 3
    both.ends(client.register(None))
    order = both.ends(client.new_order(["kms.test"]))
    authorization = both.ends(client.fetch(order.json()["authorizations"][0]))
    both.ends(client.accept(authorization.json()["challenges"][0]["url"]))
    key = ec.generate_private_key(ec.SECP256R1())
    done: list[Any] = []
    finalizing: Deferred[Any] = Deferred.fromCoroutine(client.finalize(order.own_url(), _csr(key)))
    finalizing.addBoth(done.append)
    waited = 0
    while not done:
        both.clock.advance(1)
        waited += 1
        assert waited < 100
    assert waited == 7 * 2
    pem = both.ends(client.fetch(done[0].text("certificate"))).body
    assert pem.count(b"BEGIN CERTIFICATE") == 2


def test_an_order_that_is_never_ready_is_given_up(both: Fixture) -> None:
    """After five minutes of `processing` the order counts as failed."""
    client, ca = both.client, both.ca
    ca.moods.processing, ca.moods.reuse = 10**6, True
    both.ends(client.register(None))
    order = both.ends(client.new_order(["kms.test"]))
    key = ec.generate_private_key(ec.SECP256R1())
    failures: list[Any] = []
    finalizing: Deferred[Any] = Deferred.fromCoroutine(client.finalize(order.own_url(), _csr(key)))
    finalizing.addErrback(failures.append)
    both.clock.pump([1.0] * 400)
    assert "still processing" in str(failures[0].value)


def test_an_invalid_order_says_so(both: Fixture) -> None:
    """An order whose challenge failed ends in an error that names its state."""
    client, ca = both.client, both.ca
    ca.check = lambda *_: False
    both.ends(client.register(None))
    order = both.ends(client.new_order(["kms.test"]))
    authorization = both.ends(client.fetch(order.json()["authorizations"][0]))
    both.ends(client.accept(authorization.json()["challenges"][0]["url"]))
    assert "the order is invalid" in str(both.refused(client.finalize(order.own_url(), "")))


def test_a_refusal_carries_kind_detail_and_wait(both: Fixture) -> None:
    """A problem document becomes an error with its type and Retry-After."""
    both.ends(both.client.register(None))
    both.ca.moods.refusals["neworder"] = Refused("rateLimited", 429, "3600")
    error = both.refused(both.client.new_order(["kms.test"]))
    assert (error.kind, error.retry_after_seconds) == ("rateLimited", 3600)
    assert "refused: rateLimited" in str(error)


@pytest.mark.parametrize(
    ("garbage", "told"),
    [
        (b"<html>", "not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "lacks 'newAccount'"),
        (b'{"newAccount": 5, "newNonce": "https://ca.test/nonce"}', "lacks 'newAccount'"),
        (b" " * ((1 << 20) + 1), "too large"),
        (
            b'{"newNonce": "https://ca.test/nonce", "newAccount": "http://ca.test/account"}',
            "another scheme",
        ),
        (
            b'{"newNonce": "https://ca.test/nonce", "newAccount": "file:///etc/passwd"}',
            "another scheme",
        ),
    ],
)
def test_a_directory_of_garbage_is_an_error(both: Fixture, garbage: bytes, told: str) -> None:
    """Whatever the directory holds, the client ends in an AcmeError, and tries it anew later."""
    both.ca.moods.garbage = garbage
    assert told in str(both.refused(both.client.register(None)))
    both.ca.moods.garbage = None
    both.client.forget()
    assert both.ends(both.client.register(None))


def test_a_proxy_that_answers_in_html_is_an_error(both: Fixture) -> None:
    """An error status without a problem document is worth its number."""

    class Proxy(FakeCA):
        def render(self, request: Any) -> bytes:
            request.setResponseCode(502)
            return b"<html>bad gateway</html>"

    client = AcmeClient(in_memory(Proxy()), Clock(), DIRECTORY, both.client.key)
    assert "HTTP 502" in str(both.refused(client.register(None)))


def test_redirects_are_not_followed(both: Fixture) -> None:
    """An authority that points elsewhere is not obeyed."""

    class Elsewhere(FakeCA):
        def render(self, request: Any) -> bytes:
            self.requests.append(request.path.decode())
            request.redirect(b"https://other.test/")
            return b""

    elsewhere = Elsewhere()
    client = AcmeClient(in_memory(elsewhere), Clock(), DIRECTORY, both.client.key)
    assert "HTTP 302" in str(both.refused(client.register(None)))
    assert elsewhere.requests == ["/directory"]


def test_an_authority_without_nonces_is_an_error(both: Fixture) -> None:
    """No nonce in the answer to newNonce ends the request."""
    both.ca.moods.no_nonce = True
    assert "gives no nonce" in str(both.refused(both.client.register(None)))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, 0),
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("-5", 0),
        ("soon", 0),
        ("", 0),
        ("Thu, 01 Jan 1970 00:20:00 GMT", 200),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Thu, 99 Jan 1970 00:00:00 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, expected: float) -> None:
    """Both forms of RFC 9110 are read; nonsense means nothing was asked."""
    assert retry_after_seconds(value, 1000) == expected


def _csr(key: ec.EllipticCurvePrivateKey) -> str:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding
    from josepy.b64 import b64encode

    names = x509.SubjectAlternativeName([x509.DNSName("kms.test")])
    csr = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    return b64encode(csr.public_bytes(Encoding.DER)).decode()
