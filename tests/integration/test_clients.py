"""The clients that users have today do on our server what they do on any.

Each behaviour of a driver (tests/clients/) is a test of its own. A driver runs once, in a process
of its own, against a server of its own.
"""

from __future__ import annotations

import functools
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap_with_padding

from tests.backends import (
    KINDS,
    DatabaseOptions,
    database_options,
    mariadb,
    new_secret,
    postgresql,
    relay,
)
from tests.clients import reports
from tests.clients.environment import ClientMissingError
from tests.clients.server import kmsd

__all__ = ["database_options", "mariadb", "postgresql"]

GUEST = "guest@example.com"
EVERYTHING = [(driver, name) for driver in reports.ALL for name in driver.behaviours]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=KINDS)
def servers(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    database_options: DatabaseOptions,
) -> Iterator[tuple[str, str]]:
    """Two servers over the same objects: to the second one, every caller is the guest."""
    folder: Path = tmp_path_factory.mktemp("kmsd")
    options = database_options(request.param)
    guest = (*options, "--default-username", GUEST, "--object-cache-size", "0")
    with kmsd(folder, *options) as url, kmsd(folder, *guest) as guest_url:
        if request.param != "sqlite-enc":
            yield url, guest_url
            return
        secret = new_secret(url)  # the clients' own way to send it is tested in test_databases
        with (
            relay(url, DatabaseSecret=secret) as relayed,
            relay(guest_url, DatabaseSecret=secret) as relayed_guest,
        ):
            yield relayed, relayed_guest


@pytest.fixture(scope="module")
def report(servers: tuple[str, str]) -> Any:
    """What a driver reports; each is run once, and once only when it cannot be run."""

    @functools.cache
    def run(driver: reports.Driver) -> dict[str, Any] | ClientMissingError:
        try:
            return driver.run(*servers)
        except ClientMissingError as error:
            return error

    def answer(driver: reports.Driver) -> dict[str, Any]:
        found = run(driver)
        if isinstance(found, ClientMissingError):
            pytest.skip(str(found))
        return found

    return answer


@pytest.mark.parametrize(
    ("driver", "behaviour"),
    EVERYTHING,
    ids=[f"{driver.name}-{name}" for driver, name in EVERYTHING],
)
def test_the_client(driver: reports.Driver, behaviour: str, report: Any) -> None:
    """What the driver's behaviour says is true of our server."""
    outcome = report(driver)[behaviour]
    assert outcome["failed"] is None, outcome["failed"]


@pytest.mark.parametrize("driver", reports.ALL, ids=lambda driver: driver.name)
def test_the_report_is_complete(driver: reports.Driver, report: Any) -> None:
    """A driver reports on each behaviour it declares, and on no other."""
    assert set(report(driver)) == set(driver.behaviours)


@pytest.mark.parametrize("driver", [reports.PYTHON_KEYS, reports.JAVASCRIPT_KEYS])
def test_the_key_that_get_gives_is_the_key(driver: reports.Driver, report: Any) -> None:
    """What the server encrypted, AES-GCM opens with the bytes that Get gave."""
    facts = _bytes(report(driver)["encrypts_and_decrypts"])
    opened = AESGCM(facts["key"]).decrypt(facts["nonce"], facts["sealed"], None)
    assert opened == facts["plaintext"]


def test_a_key_created_under_another_is_wrapped_by_rfc_5649(report: Any) -> None:
    """What Get gives of a key created under a wrapping key is that key, wrapped by RFC 5649."""
    facts = _bytes(report(reports.PYTHON_KEYS)["wraps_by_another_key"])
    key = aes_key_unwrap_with_padding(facts["wrapping_key"], facts["wrapped"])
    assert AESGCM(key).decrypt(facts["nonce"], facts["sealed"], None) == facts["plaintext"]


def test_a_key_got_wrapped_is_wrapped_by_rfc_5649(report: Any) -> None:
    """What Get gives under a key wrapping specification is the key, wrapped by RFC 5649."""
    facts = _bytes(report(reports.JAVASCRIPT_KEYS)["gets_a_key_wrapped"])
    assert aes_key_unwrap_with_padding(facts["wrapping_key"], facts["wrapped"]) == facts["clear"]


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("Authorization", "Bearer "),  # Python clients up to 4.3.4 send it without a token
        ("Authorization", "Bearer token"),
        ("KmsDatabaseSecret", "c2VjcmV0"),  # up to 4.20.0
        ("DatabaseSecret", "c2VjcmV0"),
    ],
)
def test_a_server_without_authentication_ignores_credentials(
    header: str, value: str, servers: tuple[str, str]
) -> None:
    """Credentials that some client always sends change nothing where none are asked for."""
    request = urllib.request.Request(f"{servers[0]}access/owned", headers={header: value})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == HTTPStatus.OK


def _bytes(outcome: dict[str, Any]) -> dict[str, bytes]:
    assert outcome["failed"] is None, outcome["failed"]
    return {name: bytes.fromhex(value) for name, value in outcome["facts"].items()}
