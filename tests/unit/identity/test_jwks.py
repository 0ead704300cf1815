"""An issuer's keys: how often they are fetched, how long they are used, which of them are good."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from kmsd.identity.jwks import (
    COOLDOWN_SECONDS,
    FRESH_SECONDS,
    LARGEST_SET,
    LAST_SECONDS,
    RETRY_SECONDS,
    FetchFailed,
    Jwks,
    read_keys,
)
from tests.issuer import ec_key, jwk, usual_keys
from tests.reactor import ensureDeferred


class Source:
    """Where keys are fetched: counts, and answers what it is told to."""

    def __init__(self, *names: str) -> None:
        self.clock = Clock()
        self.fetches = 0
        self.names = names
        self.broken = False
        self.waiting: Deferred[None] | None = None
        self.keys = Jwks("https://issuer/keys", self.fetch, self.clock.seconds)

    async def fetch(self, _uri: str) -> bytes:
        self.fetches += 1
        if self.waiting is not None:
            await self.waiting
        if self.broken:
            raise FetchFailed("the issuer is down")
        return json.dumps({"keys": [jwk(ec_key(name), name) for name in self.names]}).encode()

    async def has(self, name: str) -> bool:
        return await self.keys.key(name) is not None


@ensureDeferred
async def test_keys_are_fetched_once() -> None:
    source = Source("a", "b")
    assert [await source.has(name) for name in ("a", "b", "a")] == [True] * 3
    assert source.fetches == 1


@ensureDeferred
async def test_a_flood_of_invented_names_costs_one_fetch_a_minute() -> None:
    source = Source("a")
    await source.has("a")
    for second in range(180):
        source.clock.advance(1)
        assert not await source.has(f"invented {second}")
    assert source.fetches == 1 + 180 // COOLDOWN_SECONDS


@ensureDeferred
async def test_a_new_key_is_found_after_a_minute_and_a_withdrawn_one_is_gone() -> None:
    source = Source("old")
    await source.has("old")
    source.names = ("new",)
    assert not await source.has("new")
    source.clock.advance(COOLDOWN_SECONDS)
    assert await source.has("new")
    assert not await source.has("old")


@ensureDeferred
async def test_a_withdrawn_key_is_gone_though_nobody_asks_for_another() -> None:
    source = Source("old")
    await source.has("old")
    source.names = ()
    source.clock.advance(FRESH_SECONDS + 1)
    await source.has("old")  # which has them fetched again
    assert not await source.has("old")


@ensureDeferred
async def test_without_keys_nobody_comes_in_and_the_issuer_is_asked_again_soon() -> None:
    source = Source("a")
    source.broken = True
    with capturedLogs() as logs:
        assert not await source.has("a")
        assert not await source.has("a")
    assert source.fetches == 1
    assert [event["log_level"].name for event in logs] == ["warn"]
    source.broken = False
    source.clock.advance(RETRY_SECONDS)
    assert await source.has("a")


@ensureDeferred
async def test_an_issuer_that_is_down_for_long_lets_nobody_in_any_more() -> None:
    """Keys that were had are used while the issuer is away, but not for ever."""
    source = Source("a")
    await source.has("a")
    source.broken = True
    source.clock.advance(LAST_SECONDS - 1)
    assert await source.has("a")
    source.clock.advance(2)
    assert not await source.has("a")


@ensureDeferred
async def test_an_empty_set_takes_all_keys_away() -> None:
    source = Source("a")
    await source.has("a")
    source.names = ()
    source.clock.advance(COOLDOWN_SECONDS)
    await source.has("b")
    assert not await source.has("a")


@ensureDeferred
async def test_all_who_come_at_once_wait_for_the_same_fetch() -> None:
    source = Source("a")
    source.waiting = Deferred()
    asked = [Deferred.fromCoroutine(source.has("a")) for _ in range(50)]
    assert not any(each.called for each in asked)
    source.waiting.callback(None)
    assert [await each for each in asked] == [True] * 50
    assert source.fetches == 1


def test_only_sound_public_keys_for_signatures_are_kept() -> None:
    with capturedLogs():
        found = read_keys(json.dumps({"keys": usual_keys()}).encode())
    assert set(found) == {"rsa", "rsa-rs", "p256", "p384", "ed"}


def test_the_first_key_of_a_name_is_the_one() -> None:
    """A second one, slipped in behind it, is not tried."""
    first, second = jwk(ec_key("one"), "a"), jwk(ec_key("two"), "a")
    found = read_keys(json.dumps({"keys": [first, second]}).encode())
    assert found["a"].as_dict()["x"] == first["x"]


def test_a_private_key_is_not_used() -> None:
    """An issuer that shows it has lost it."""
    member = jwk(ec_key("a"), "a", d="AAAA")
    with capturedLogs():
        assert read_keys(json.dumps({"keys": [member]}).encode()) == {}


@pytest.mark.parametrize(
    "body",
    [
        lambda: b"",
        lambda: b"<html>",
        lambda: b"[]",
        lambda: b"{}",
        lambda: b'{"keys": {}}',
        lambda: b'{"keys": null}',
        lambda: b"\xff\xfe",
        lambda: b"[" * 100_000,
        lambda: json.dumps({"keys": [{}] * (LARGEST_SET + 1)}).encode(),
    ],
)
def test_what_is_no_set_of_keys_is_told(body: Callable[[], bytes]) -> None:
    with pytest.raises(FetchFailed):
        read_keys(body())


@pytest.mark.parametrize("member", [None, 5, "key", [], {}, {"kid": 5, "kty": "RSA"}, {"kid": "a"}])
def test_strange_members_are_passed_over(member: object) -> None:
    with capturedLogs():
        good = jwk(ec_key("a"), "a")
        assert set(read_keys(json.dumps({"keys": [member, good]}).encode())) == {"a"}
