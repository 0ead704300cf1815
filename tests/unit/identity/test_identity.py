"""Who calls is decided by the evidence and the configuration, and by nothing else."""

# mypy: allow-untyped-decorators
# pytest-twisted has no annotations

import dataclasses
from typing import Any

import pytest
import pytest_twisted

from kmsd.identity import AuthenticationFailed, Evidence, Identity, checked_name


@dataclasses.dataclass(frozen=True)
class Shown:
    """Evidence as plain values."""

    authorization: str | None = None
    peer_certificate: Any = None
    address: str = "192.0.2.7"


@dataclasses.dataclass(frozen=True)
class Token:
    """A mechanism of the simplest kind: `Bearer NAME` is NAME, except `Bearer forged`."""

    name: str = "token"

    async def identify(self, evidence: Evidence) -> str | None:
        if evidence.authorization is None:
            return None
        name = evidence.authorization.removeprefix("Bearer ")
        if name == "forged":
            raise AuthenticationFailed("forged")
        return name


@dataclasses.dataclass(frozen=True)
class Certificate:
    """A mechanism that believes the certificate it is shown."""

    name: str = "certificate"

    async def identify(self, evidence: Evidence) -> str | None:
        name: str | None = evidence.peer_certificate
        return name


BOTH = Identity(mechanisms=(Token(), Certificate()))


@pytest_twisted.ensureDeferred
async def test_without_mechanisms_everybody_is_the_default_user() -> None:
    caller = await Identity().caller(Shown(authorization="Bearer "), "http")
    assert (caller.name, caller.mechanism) == ("admin", "default")


@pytest_twisted.ensureDeferred
async def test_the_default_user_can_be_called_otherwise() -> None:
    caller = await Identity(default_username="ops").caller(Shown(), "http")
    assert caller.name == "ops"


@pytest_twisted.ensureDeferred
async def test_the_caller_carries_door_and_address() -> None:
    caller = await Identity().caller(Shown(), "kmip-tls")
    assert (caller.door, caller.address) == ("kmip-tls", "192.0.2.7")


@pytest_twisted.ensureDeferred
async def test_mechanisms_are_asked_in_order() -> None:
    both = await BOTH.caller(Shown("Bearer anna", "bob"), "http")
    second = await BOTH.caller(Shown(None, "bob"), "http")
    assert (both.name, both.mechanism) == ("anna", "token")
    assert (second.name, second.mechanism) == ("bob", "certificate")


@pytest_twisted.ensureDeferred
async def test_bad_evidence_never_falls_through_to_the_next_mechanism() -> None:
    with pytest.raises(AuthenticationFailed):
        await BOTH.caller(Shown("Bearer forged", "bob"), "http")


@pytest_twisted.ensureDeferred
async def test_with_mechanisms_nobody_becomes_the_default_user() -> None:
    with pytest.raises(AuthenticationFailed):
        await BOTH.caller(Shown(), "http")


@pytest_twisted.ensureDeferred
async def test_forcing_the_default_name_still_asks_who_it_is() -> None:
    forced = Identity(force_default_username=True, mechanisms=(Token(),))
    caller = await forced.caller(Shown("Bearer anna"), "http")
    assert (caller.name, caller.mechanism) == ("admin", "token")
    with pytest.raises(AuthenticationFailed):
        await forced.caller(Shown(), "http")


@pytest.mark.parametrize("name", ["", "*", "a\0b", "a\nb", "x" * 256, "\N{RIGHT-TO-LEFT OVERRIDE}"])
def test_names_that_mean_something_else_are_refused(name: str) -> None:
    with pytest.raises(AuthenticationFailed):
        checked_name(name)


@pytest.mark.parametrize("name", ["admin", "user.client@acme.com", "José Ñandú", "x" * 255])
def test_names_of_people_and_machines_are_accepted(name: str) -> None:
    assert checked_name(name) == name
