"""When to ask for a certificate: txacme's issuing service, with a timetable of our own.

What is txacme's: registration, the pipeline from order to stored certificate, one issue at a time
per name, `when_certs_valid`. What is not, because its own does not hold: the timer (a day between
two tries), the fixed 30 days before expiry, the naive dates, and a stop that waits for the CA.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from txacme.client import NoSupportedChallenges
from txacme.interfaces import IResponder
from txacme.service import AcmeIssuingService

from kmsd.acme.adapter import OneOrder
from kmsd.acme.client import AcmeClient, AcmeError
from kmsd.acme.store import PrivateStore

FIRST_WAIT_SECONDS = 60
LONGEST_WAIT_SECONDS = 3600
LONGEST_RETRY_AFTER_SECONDS = 24 * 3600
# Also the time in which a clock that was set is noticed.
CHECK_SECONDS = 600

log = Logger()


@dataclass(frozen=True)
class Validity:
    """The time of a certificate, in seconds since the epoch, UTC."""

    start: float
    end: float

    @classmethod
    def of(cls, certificate: x509.Certificate) -> Validity:
        """Read it from `certificate`."""
        return cls(
            certificate.not_valid_before_utc.timestamp(),
            certificate.not_valid_after_utc.timestamp(),
        )

    @property
    def renewal(self) -> float:
        """When less than a third of the lifetime is left."""
        return self.end - (self.end - self.start) / 3


class Backoff:
    """How long to wait after failures: doubled each time, spread by a fifth either way."""

    def __init__(self, spread: Callable[[float, float], float] | None = None) -> None:
        self._spread = spread or random.Random(secrets.randbits(64)).uniform  # noqa: S311 - no secret
        self._failures = 0

    def succeeded(self) -> None:
        """Start over."""
        self._failures = 0

    def failed(self, retry_after_seconds: float, validity: Validity | None) -> float:
        """Return the seconds to wait; a certificate that lives seconds is asked for in seconds."""
        first = float(FIRST_WAIT_SECONDS)
        if validity is not None:
            first = min(first, max(1.0, (validity.end - validity.start) / 20))
        wait = min(first * float(1 << min(self._failures, 20)), LONGEST_WAIT_SECONDS)
        self._failures += 1
        asked = min(retry_after_seconds, LONGEST_RETRY_AFTER_SECONDS)
        return max(asked, wait * self._spread(0.8, 1.2))


class IssuingService(AcmeIssuingService):  # type: ignore[misc]
    """Keeps one name's certificate in time, trying each responder's challenge in turn.

    `validity` returns that of the certificate being served, None when there is none.
    """

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        server_name: str,
        email: str | None,
        *,
        client: AcmeClient,
        store: PrivateStore,
        responders: Sequence[IResponder],
        clock: IReactorTime,
        now: Callable[[], float],
        validity: Callable[[], Validity | None],
        backoff: Backoff | None = None,
    ) -> None:
        self._challenge_type = responders[0].challenge_type
        super().__init__(
            cert_store=store,
            client_creator=lambda: succeed(OneOrder(client, self._challenge_type)),
            clock=clock,
            responders=list(responders),
            email=email,
            generate_key=lambda: ec.generate_private_key(ec.SECP256R1()),
        )
        self.server_name, self._client, self._seconds = server_name, client, now
        self._backoff = backoff or Backoff()
        self._validity = validity
        self._timer: IDelayedCall | None = None
        self._task: Deferred[None] | None = None

    def startService(self) -> None:  # noqa: N802
        """Begin; a first try is made at once when there is no certificate in time."""
        # Not AcmeIssuingService's: its timer is what this class replaces.
        Service.startService(self)
        self._registered = False
        self._task = Deferred.fromCoroutine(self._forever())
        self._task.addErrback(self._ended)

    def stopService(self) -> Deferred[None]:  # noqa: N802
        """Stop at once, whatever the CA is doing; waiting callers are told by a cancellation."""
        Service.stopService(self)
        self.ready = False
        for each in self._take_waiting():
            each.cancel()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        return succeed(None)

    def check_now(self) -> None:
        """End the present wait, so that a certificate that is due is asked for at once."""
        if self._timer is not None and self._timer.active():
            self._timer.reset(0)

    def _ended(self, failure: Any) -> None:
        if not failure.check(CancelledError):
            log.failure("renewal of certificates has stopped", failure)

    async def _forever(self) -> None:
        while True:
            wait = self._until_renewal()
            if wait > 0:
                self._first_try_is_over()
                await self._sleep(min(wait, CHECK_SECONDS))
            else:
                await self._sleep(await self._try())

    def _until_renewal(self) -> float:
        validity = self._validity()
        return 0.0 if validity is None else validity.renewal - self._seconds()

    async def _try(self) -> float:
        """Ask for a certificate; return the seconds to wait before anything else."""
        try:
            await self._ensure_registered()
            await self._issue()
        except Exception as error:
            # txacme ends a slow validation by a cancellation, which is not one of ours.
            if isinstance(error, CancelledError) and not self.running:
                raise
            return self._failed(error)
        finally:
            self._first_try_is_over()
        if self._until_renewal() <= 0:
            # Asking again at once would go on until the authority shuts the door.
            return self._failed(AcmeError("the new one is due for renewal: is the clock right?"))
        self._backoff.succeeded()
        return 0.0

    def _failed(self, error: Exception) -> float:
        # The CA may have forgotten the account: introduce ourselves again at the next try.
        self._registered = False
        self._client.forget()
        asked = error.retry_after_seconds if isinstance(error, AcmeError) else 0
        wait = self._backoff.failed(asked, self._validity())
        log.error(
            "no certificate for {name}, next try in {wait} s: {error}",
            name=self.server_name,
            wait=round(wait),
            error=str(error) or type(error).__name__,
        )
        return wait

    async def _issue(self) -> None:
        types = [each.challenge_type for each in self._responders]
        for position, self._challenge_type in enumerate(types, 1):
            try:
                await self.issue_cert(self.server_name)
            except (AcmeError, NoSupportedChallenges) as error:
                if (
                    position == len(types)
                    or getattr(error, "kind", "unauthorized") not in _OTHER_WAY
                ):
                    raise
                log.warn("{error}; trying {other}", error=str(error), other=types[position])
            else:
                return

    def _first_try_is_over(self) -> None:
        self.ready = bool(self.running)
        for each in self._take_waiting():
            each.callback(None)

    def _take_waiting(self) -> list[Deferred[None]]:
        waiting: list[Deferred[None]] = list(self._waiting)
        self._waiting.clear()
        return waiting

    async def _sleep(self, seconds: float) -> None:
        awake: Deferred[None] = Deferred(lambda _: timer.cancel())
        timer: IDelayedCall = self._clock.callLater(seconds, awake.callback, None)
        self._timer = timer
        await awake


# Refusals that another kind of challenge may not meet.
_OTHER_WAY = {"unauthorized", "connection", "dns", "tls", "incorrectResponse"}
