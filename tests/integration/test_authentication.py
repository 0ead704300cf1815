"""Who is let in, by a real server: tokens of a real issuer over TLS, certificates, API tokens."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import pki
from tests.asking import ask, create, owned
from tests.attacks import ATTACKS
from tests.conftest import Kmsd, launch
from tests.issuer import AUDIENCE, EMAIL, Issuer, ec_key, ed_key, issuer, rsa_key

ROOT = pki.authority("root")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("authentication")
    (made / "ca.pem").write_bytes(ROOT.pem)
    return made


@pytest.fixture(scope="module")
def provider(folder: Path) -> Iterator[Issuer]:
    with issuer(folder, ROOT) as made:
        yield made


@pytest.fixture(scope="module")
def by_jwt(folder: Path, provider: Issuer) -> Iterator[Kmsd]:
    """A server that knows callers by JWT alone."""
    server = launch(
        folder,
        f"--jwt-issuer-uri={provider.name}",
        f"--jwks-uri={provider.jwks_uri}",
        f"--jwt-audience={AUDIENCE}",
        f"--jwks-ca-file={folder / 'ca.pem'}",
    )
    yield server
    server.stop()


# JWT


def test_a_token_makes_its_bearer_the_owner(by_jwt: Kmsd, provider: Issuer) -> None:
    """The e-mail claim is the user: the same in another token, and nobody in one of another's."""
    made = create(by_jwt, provider.token())
    assert made in owned(by_jwt, provider.token(sub="another login"))
    assert made not in owned(by_jwt, provider.token(email="bob@example.com"))


@pytest.mark.parametrize(
    ("kid", "key", "algorithm"),
    [
        *(("rsa", "rsa", each) for each in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")),
        ("rsa-rs", "rsa-rs", "RS256"),
        ("p256", "p256", "ES256"),
        ("p384", "p384", "ES384"),
        ("ed", "ed", "EdDSA"),
    ],
)
def test_good_algorithms_are_good(
    by_jwt: Kmsd, provider: Issuer, kid: str, key: str, algorithm: str
) -> None:
    keys: dict[str, Any] = {
        "rsa": rsa_key("rsa"),
        "rsa-rs": rsa_key("rsa-rs"),
        "p256": ec_key("p256"),
        "p384": ec_key("p384", "P-384"),
        "ed": ed_key("ed"),
    }
    token = provider.token({"kid": kid}, keys[key], algorithm)
    assert ask(by_jwt, token=token)[0] == 200


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["other", AUDIENCE]},
        {"nbf": ...},
        {"email_verified": True},
        {"exp": 9_999_999_999.5},
        {"name": "Zoë", "groups": [{"a": None}]},
    ],
    ids=str,
)
def test_what_issuers_also_write_does_no_harm(
    by_jwt: Kmsd, provider: Issuer, changes: dict[str, Any]
) -> None:
    assert ask(by_jwt, token=provider.token(**changes))[0] == 200


@pytest.mark.parametrize(
    "header", [{"typ": ...}, {"typ": "at+jwt"}, {"x5t": "abc", "jku": "https://localhost/other"}]
)
def test_header_members_that_change_nothing(
    by_jwt: Kmsd, provider: Issuer, header: dict[str, Any]
) -> None:
    assert ask(by_jwt, token=provider.token(header))[0] == 200


@pytest.mark.parametrize("name", ATTACKS)
def test_the_attack_is_refused(by_jwt: Kmsd, provider: Issuer, name: str) -> None:
    """An empty 401 that does not say what is wrong; nothing but the keys is ever fetched."""
    before = len(by_jwt.output())
    assert ask(by_jwt, token=ATTACKS[name](provider)) == (401, b"")
    assert set(provider.fetches) <= {"/keys"}
    assert "Traceback" not in by_jwt.output()[before:]


def test_a_token_of_a_megabyte_is_refused(by_jwt: Kmsd, provider: Issuer) -> None:
    """The header is refused before there is a token."""
    try:
        status, _ = ask(by_jwt, token=provider.token(padding="x" * 1_000_000))
    except ConnectionError:
        return
    assert 400 <= status < 500


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearer ", "Bearer  ", "Basic YWRtaW46YWRtaW4=", "Token x", "TOKEN"]
)
def test_without_a_bearer_token_nobody_comes_in(by_jwt: Kmsd, provider: Issuer, value: str) -> None:
    """With JWT configured there is no way back to the default user."""
    shown = {"Authorization": value.replace("TOKEN", provider.token())}
    assert ask(by_jwt, headers=shown) == (401, b"")


def test_a_good_token_in_the_wrong_place_is_none(by_jwt: Kmsd, provider: Issuer) -> None:
    token = provider.token()
    assert ask(by_jwt, f"/access/owned?access_token={token}")[0] == 401
    assert ask(by_jwt, headers={"Cookie": f"Authorization={token}"})[0] == 401
    assert ask(by_jwt, token=f"{token} {token}")[0] == 401
    assert ask(by_jwt, token=f"Bearer {token}")[0] == 401


def test_two_authorization_headers_are_none(by_jwt: Kmsd, provider: Issuer) -> None:
    """Whoever put a second one beside the first shall not choose which is read."""
    connection = http.client.HTTPConnection("127.0.0.1", by_jwt.port, timeout=30)
    connection.putrequest("GET", "/access/owned")
    for email in (EMAIL, "victim@example.com"):
        connection.putheader("Authorization", f"Bearer {provider.token(email=email)}")
    connection.endheaders()
    assert connection.getresponse().status in {400, 401}
    connection.close()


def test_the_scheme_is_not_case_sensitive(by_jwt: Kmsd, provider: Issuer) -> None:
    assert ask(by_jwt, headers={"Authorization": f"bearer {provider.token()}"})[0] == 200


def test_nothing_of_a_token_is_logged(by_jwt: Kmsd, provider: Issuer) -> None:
    """Neither of a good nor of a bad one."""
    good, bad = provider.token(), provider.token(exp=1)
    ask(by_jwt, token=good)
    ask(by_jwt, token=bad)
    assert "is not authenticated" in by_jwt.output()
    for token in (good, bad):
        for part in token.split("."):
            assert part not in by_jwt.output()
