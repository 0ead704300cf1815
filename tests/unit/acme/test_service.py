"""When certificates are asked for: the timetable, the challenges, what may go wrong."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher
from txacme.interfaces import IResponder
from zope.interface import implementer
from zope.interface.verify import verifyObject

from kmsd.acme.client import AcmeClient
from kmsd.acme.http01 import Http01Responder
from kmsd.acme.jose import AccountKey
from kmsd.acme.service import Backoff, IssuingService, Validity
from kmsd.acme.store import PrivateStore
from kmsd.acme.tls_alpn import PendingChallenges, TlsAlpn01Responder
from kmsd.tls.credentials import from_pem
from tests.unit.acme.fake_ca import DIRECTORY, FakeCA, Refused, in_memory

HOST = "kms.test"
HOUR = 3600


@implementer(ILogObserver)
class Errors:
    """The texts of the errors that are logged."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def __call__(self, event: LogEvent) -> None:
        if event["log_level"].name == "error":
            self.texts.append(str(event.get("error", event)))


class Bench:
    """An issuing service with an authority, a clock and a folder."""

    def __init__(self, folder: Path, kinds: Sequence[str] = ("tls-alpn-01", "http-01")) -> None:
        self.folder = folder
        self.pending = PendingChallenges(folder)
        known: dict[str, IResponder] = {
            "tls-alpn-01": TlsAlpn01Responder(self.pending),
            "http-01": Http01Responder(folder),
        }
        self.ca = FakeCA(self.shows)
        self.checked: list[str] = []
        self.unmet: set[str] = set()
        self.clock = Clock()
        self.clock.advance(dt.datetime.now(dt.UTC).timestamp())
        self.served: list[x509.Certificate] = []
        key = AccountKey(ec.generate_private_key(ec.SECP256R1()))
        self.service = IssuingService(
            HOST,
            "admin@example.test",
            client=AcmeClient(in_memory(self.ca), self.clock, DIRECTORY, key),
            store=PrivateStore(folder, self.serve),
            responders=[known[each] for each in kinds],
            clock=self.clock,
            now=self.clock.seconds,
            validity=self.validity,
            backoff=Backoff(lambda low, high: (low + high) / 2),
        )

    def validity(self) -> Validity | None:
        return Validity.of(self.served[-1]) if self.served else None

    def serve(self, _name: str, content: bytes) -> None:
        self.served.append(from_pem(self.folder, content).leaf)

    def shows(self, kind: str, name: str, token: str, thumbprint: str) -> bool:
        """Say whether the responders show what the authority expects."""
        self.checked.append(kind)
        if kind in self.unmet:
            return False
        if kind == "http-01":
            path = self.folder / f"{token}.token"
            return path.exists() and path.read_text() == f"{token}.{thumbprint}"
        return self.pending.file(name).exists()

    def set_time(self, certificate: x509.Certificate, share: float) -> None:
        """Go to the moment when `share` of the certificate's lifetime has passed."""
        whole = Validity.of(certificate)
        moment = whole.start + (whole.end - whole.start) * share
        while self.clock.seconds() < moment:
            self.clock.advance(min(60, moment - self.clock.seconds()))


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


@pytest.fixture
def errors() -> Any:
    observer = Errors()
    globalLogPublisher.addObserver(observer)
    yield observer
    globalLogPublisher.removeObserver(observer)


def test_responders_are_txacmes(tmp_path: Path) -> None:
    """Both responders provide txacme's IResponder."""
    verifyObject(IResponder, TlsAlpn01Responder(PendingChallenges(tmp_path)))
    verifyObject(IResponder, Http01Responder(tmp_path))


def test_the_first_certificate_is_asked_for_at_once(bench: Bench) -> None:
    """Starting without a certificate brings one, kept and served, with nothing left pending."""
    waiting = bench.service.when_certs_valid()
    bench.service.startService()
    assert waiting.called
    assert len(bench.served) == 1
    assert {each.name for each in bench.folder.iterdir()} == {f"{HOST}.pem"}
    assert bench.checked == ["tls-alpn-01"]


def test_renewal_comes_when_a_third_is_left(bench: Bench) -> None:
    """Nothing is asked before two thirds of the lifetime, and one certificate right after."""
    bench.service.startService()
    before = len(bench.ca.requests)
    bench.set_time(bench.served[0], 0.66)
    assert len(bench.ca.requests) == before
    bench.ca.moods.start, bench.ca.moods.end = dt.timedelta(hours=0), dt.timedelta(hours=9)
    bench.set_time(bench.served[0], 0.68)
    assert len(bench.served) == 2


@pytest.mark.parametrize("days", [6, 45, 90])
def test_the_third_is_of_the_lifetime(days: int) -> None:
    """A certificate of 6, 45 or 90 days is renewed 2, 15 or 30 days before its end."""
    assert Validity(0, days * 24 * HOUR).renewal == pytest.approx(days * 16 * HOUR)


def test_the_other_challenge_is_tried_when_one_fails(bench: Bench, errors: Errors) -> None:
    """TLS-ALPN-01 that is not met is followed by HTTP-01 in the same try."""
    bench.unmet = {"tls-alpn-01"}
    bench.service.startService()
    assert bench.checked == ["tls-alpn-01", "http-01"]
    assert (len(bench.served), errors.texts) == (1, [])


def test_a_challenge_that_the_authority_does_not_offer_is_passed_over(bench: Bench) -> None:
    """Where the CA knows only HTTP-01, that is answered, whatever our preference."""
    bench.ca.moods.challenge_types = ("http-01",)
    bench.service.startService()
    assert (bench.checked, len(bench.served)) == (["http-01"], 1)


def test_preference_is_ours_not_the_authoritys(bench: Bench) -> None:
    """The order in which the CA lists its challenges does not matter."""
    bench.ca.moods.challenge_types = ("http-01", "tls-alpn-01")
    bench.service.startService()
    assert bench.checked == ["tls-alpn-01"]


@pytest.mark.parametrize("types", [("http-01",), ("tls-alpn-01", "dns-01"), ("future-02",)])
def test_a_valid_authorization_is_reused(bench: Bench, types: tuple[str, ...]) -> None:
    """An authorization of before needs no challenge, whichever kind once met it."""
    bench.ca.moods.reuse = True
    bench.ca.moods.challenge_types = types
    bench.service.startService()
    assert (bench.checked, len(bench.served)) == ([], 1)


def test_failures_are_spaced(bench: Bench, errors: Errors) -> None:
    """A CA that is down is asked after 1, 2, 4 … minutes, at most each hour, and then obeyed."""
    bench.ca.moods.down = True
    waiting = bench.service.when_certs_valid()
    bench.service.startService()
    assert waiting.called, "a failed first try is over as well"
    moments = []
    begin = bench.clock.seconds()
    seen = len(bench.ca.requests)
    for _ in range(60 * 6):
        bench.clock.advance(60)
        if len(bench.ca.requests) > seen:
            moments.append(round((bench.clock.seconds() - begin) / 60))
            seen = len(bench.ca.requests)
    assert moments == [1, 3, 7, 15, 31, 63, 123, 183, 243, 303]
    assert len(errors.texts) == 11
    bench.ca.moods.down = False
    bench.service.check_now()
    bench.clock.advance(0)
    assert len(bench.served) == 1


def test_retry_after_is_honoured(bench: Bench) -> None:
    """When the CA asks for two hours of rest it gets them."""
    bench.ca.moods.refusals["neworder"] = Refused("rateLimited", 429, str(2 * HOUR))
    bench.service.startService()
    bench.ca.moods.refusals.clear()
    bench.clock.pump([60.0] * 119)
    assert bench.served == []
    bench.clock.pump([60.0] * 2)
    assert len(bench.served) == 1


def test_short_lives_make_short_waits() -> None:
    """A certificate of 30 seconds is asked for again after 1.5 s; one of 90 days after 60 s."""
    middle = Backoff(lambda low, high: (low + high) / 2)
    assert [middle.failed(0, Validity(0, 30)) for _ in range(3)] == [1.5, 3, 6]
    middle.succeeded()
    assert middle.failed(0, Validity(0, 90 * 24 * HOUR)) == 60
    assert middle.failed(10**9, None) == 24 * HOUR
    waits = {Backoff().failed(0, None) for _ in range(20)}
    assert len(waits) > 1
    assert all(48 <= each <= 72 for each in waits)


def test_a_wrong_clock_does_not_ask_for_ever(bench: Bench, errors: Errors) -> None:
    """A new certificate that is due at once is waited with as after a failure."""
    bench.ca.moods.start, bench.ca.moods.end = dt.timedelta(days=-3), dt.timedelta(hours=1)
    bench.service.startService()
    assert len(bench.served) == 1
    assert "is the clock right?" in errors.texts[0]
    bench.clock.pump([1.0] * 50)
    assert len(bench.served) == 1


@pytest.mark.parametrize(
    ("mood", "told"),
    [("wrong_key", "for another key"), ("wrong_name", "for another name")],
)
def test_a_certificate_that_is_not_ours_is_refused(
    bench: Bench, errors: Errors, mood: str, told: str
) -> None:
    """The certificate must carry our key and our name, or it is neither kept nor served."""
    setattr(bench.ca.moods, mood, True)
    bench.service.startService()
    assert (bench.served, list(bench.folder.iterdir())) == ([], [])
    assert told in errors.texts[0]


def test_the_failed_challenge_is_explained(bench: Bench, errors: Errors) -> None:
    """The CA's words about the last challenge reach the log."""
    bench.unmet = {"tls-alpn-01", "http-01"}
    bench.service.startService()
    assert "http-01 failed: nobody there" in errors.texts[0]
    assert list(bench.folder.iterdir()) == []


def test_a_forgotten_account_costs_nothing(bench: Bench, errors: Errors) -> None:
    """A CA that has lost our account gets it again within the same try."""
    bench.service.startService()
    bench.ca.forget()
    bench.ca.moods.start, bench.ca.moods.end = dt.timedelta(hours=1), dt.timedelta(hours=9)
    bench.set_time(bench.served[0], 0.7)
    assert (len(bench.served), errors.texts) == (2, [])


def test_a_stop_ends_every_wait(bench: Bench) -> None:
    """Stopping in the middle of a poll leaves nothing scheduled, and tells who waits."""
    bench.ca.moods.processing = 10**6
    waiting = bench.service.when_certs_valid()
    failures: list[Any] = []
    waiting.addErrback(failures.append)
    bench.service.startService()
    bench.clock.advance(30)
    assert not waiting.called
    bench.service.stopService()
    assert bench.clock.getDelayedCalls() == []
    assert len(failures) == 1
    requests = len(bench.ca.requests)
    bench.clock.advance(1000)
    assert len(bench.ca.requests) == requests


def test_a_restart_of_the_service_begins_anew(bench: Bench) -> None:
    """Stopped and started, the service renews as before."""
    bench.service.startService()
    bench.service.stopService()
    bench.service.startService()
    bench.ca.moods.start, bench.ca.moods.end = dt.timedelta(hours=1), dt.timedelta(hours=9)
    bench.set_time(bench.served[0], 0.7)
    assert len(bench.served) == 2
    bench.service.stopService()


def test_an_unexpected_order_is_an_error(bench: Bench, errors: Errors) -> None:
    """A challenge without a place to answer it ends the try, not the service."""
    bench.ca.moods.extra_url = "ftp://ca.test/x"
    bench.service.startService()
    assert "another scheme" in errors.texts[0]
    bench.ca.moods.extra_url = ""
    bench.clock.pump([60.0] * 3)
    assert len(bench.served) == 1
