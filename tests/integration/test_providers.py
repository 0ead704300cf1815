"""Identity providers that are several, named in other ways, away, or wrong."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from kmsd.identity.jwks import RETRY_SECONDS
from tests import pki
from tests.asking import ask, create, owned
from tests.conftest import StartKmsd
from tests.issuer import Issuer, issuer, jwk, rsa_key

ROOT = pki.authority("root")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "ca.pem").write_bytes(ROOT.pem)
    return tmp_path


@pytest.fixture
def two(folder: Path) -> Iterator[tuple[Issuer, Issuer]]:
    """Two issuers; each has a key of its own by the same name."""
    with ExitStack() as stack:
        first, second = (stack.enter_context(issuer(folder, ROOT)) for _ in range(2))
        second.keys = [jwk(rsa_key("second"), "rsa")]
        yield first, second


def ca(folder: Path) -> str:
    return f"--jwks-ca-file={folder / 'ca.pem'}"


def test_lists_go_by_position(
    folder: Path, two: tuple[Issuer, Issuer], start_kmsd: StartKmsd
) -> None:
    """Each issuer has its own keys and audience: neither can sign for the other."""
    first, second = two
    server = start_kmsd(
        f"--jwt-issuer-uri={first.name},{second.name}",
        f"--jwks-uri={first.jwks_uri},{second.jwks_uri}",
        "--jwt-audience=one,two",
        ca(folder),
    )
    key = rsa_key("second")
    assert ask(server, token=first.token(aud="one"))[0] == 200
    assert ask(server, token=second.token(key=key, aud="two"))[0] == 200
    assert ask(server, token=first.token(aud="two"))[0] == 401
    assert ask(server, token=second.token(key=key, aud="one"))[0] == 401
    assert ask(server, token=first.token(key=key, aud="one"))[0] == 401
    assert ask(server, token=second.token(aud="two"))[0] == 401
    assert "several issuers of JWT" in server.output()


def test_one_issuer_being_away_does_not_keep_the_others_out(
    folder: Path, two: tuple[Issuer, Issuer], start_kmsd: StartKmsd
) -> None:
    first, _ = two
    server = start_kmsd(
        f"--jwt-issuer-uri={first.name},https://localhost:1/",
        f"--jwks-uri={first.jwks_uri}",
        ca(folder),
    )
    assert ask(server, token=first.token())[0] == 200
    assert ask(server, token=first.token(iss="https://localhost:1/"))[0] == 401


def test_a_provider_in_one_option_has_several_audiences(
    folder: Path, two: tuple[Issuer, Issuer], start_kmsd: StartKmsd
) -> None:
    first, second = two
    server = start_kmsd(
        f"--jwt-auth-provider={first.name},{first.jwks_uri},one,other",
        f"--jwt-auth-provider={second.name}",  # its keys are in the usual place
        ca(folder),
    )
    assert ask(server, token=first.token(aud="one"))[0] == 200
    assert ask(server, token=first.token(aud=["other"]))[0] == 200
    assert ask(server, token=first.token(aud="third"))[0] == 401
    assert ask(server, token=second.token(key=rsa_key("second"), aud=...))[0] == 200
    assert second.fetches == ["/.well-known/jwks.json"]


def test_auth0_is_named_by_its_domain(
    folder: Path, two: tuple[Issuer, Issuer], start_kmsd: StartKmsd
) -> None:
    server = start_kmsd(f"--auth0-authority-domain=localhost:{two[0].port}", ca(folder))
    assert ask(server, token=two[0].token(aud=...))[0] == 200
    assert ask(server)[0] == 401
    assert two[0].fetches == ["/.well-known/jwks.json"]


@pytest.mark.parametrize("name", ["KMS_JWT_AUDIENCE", "KMS_JST_AUDIENCE"])
def test_the_audience_has_two_variables(
    folder: Path, two: tuple[Issuer, Issuer], start_kmsd: StartKmsd, name: str
) -> None:
    """One as all options have, and one as it was once misspelt."""
    server = start_kmsd(
        KMS_JWT_ISSUER_URI=two[0].name,
        KMS_JWKS_URI=two[0].jwks_uri,
        KMS_JWKS_CA_FILE=str(folder / "ca.pem"),
        **{name: "one"},
    )
    assert ask(server, token=two[0].token(aud="one"))[0] == 200
    assert ask(server, token=two[0].token(aud="two"))[0] == 401


@pytest.mark.parametrize(
    "trouble", ["nobody is there", "a stranger's certificate", "an error", "no keys", "a redirect"]
)
def test_without_keys_nobody_comes_in(
    folder: Path, two: tuple[Issuer, Issuer], start_kmsd: StartKmsd, trouble: str
) -> None:
    """The server starts, says what is wrong, and refuses; it does not fall back to anybody."""
    first, _ = two
    uri, authorities = first.jwks_uri, folder / "ca.pem"
    if trouble == "nobody is there":
        uri = "https://localhost:1/keys"
    elif trouble == "a stranger's certificate":
        authorities.write_bytes(pki.authority("root").pem)
    elif trouble == "an error":
        first.answer = lambda: (500, {}, first.published())
    elif trouble == "no keys":
        first.keys = []
    else:
        first.answer = lambda: (302, {"Location": first.jwks_uri}, first.published())
    server = start_kmsd(
        f"--jwt-issuer-uri={first.name}", f"--jwks-uri={uri}", f"--jwks-ca-file={authorities}"
    )
    assert ask(server, token=first.token()) == (401, b"")
    assert ask(server) == (401, b"")
    assert ("0 keys from" if trouble == "no keys" else "no keys from") in server.output()


@pytest.mark.slow
def test_an_issuer_that_comes_back_is_believed_again(
    folder: Path, two: tuple[Issuer, Issuer], start_kmsd: StartKmsd
) -> None:
    """Nobody restarts the server for it."""
    first, _ = two
    first.answer = lambda: (503, {}, b"")
    server = start_kmsd(
        f"--jwt-issuer-uri={first.name}", f"--jwks-uri={first.jwks_uri}", ca(folder)
    )
    assert ask(server, token=first.token())[0] == 401
    first.answer = None
    time.sleep(RETRY_SECONDS + 0.5)
    assert ask(server, token=first.token())[0] == 200


def test_forcing_the_default_user_still_asks_for_a_token(
    folder: Path, two: tuple[Issuer, Issuer], start_kmsd: StartKmsd
) -> None:
    """All who have a token are one user; without one nobody is."""
    first, _ = two
    server = start_kmsd(
        f"--jwt-issuer-uri={first.name}",
        f"--jwks-uri={first.jwks_uri}",
        "--force-default-username",
        ca(folder),
    )
    made = create(server, first.token())
    assert made in owned(server, first.token(email="bob@example.com"))
    assert ask(server)[0] == 401
    assert "every caller is the user admin" in server.output()
