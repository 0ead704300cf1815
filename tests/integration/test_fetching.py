"""Fetching keys from a real server over TLS, which does all that it should not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.defer import gatherResults
from twisted.internet.threads import deferToThread

from kmsd.identity import fetching
from kmsd.identity.fetching import LARGEST_BYTES, Fetcher
from kmsd.identity.jwks import FetchFailed
from tests import pki
from tests.issuer import Issuer, bomb, issuer
from tests.reactor import ensureDeferred, reactor

ROOT = pki.authority("root")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made: Path = tmp_path_factory.mktemp("fetching")
    (made / "ca.pem").write_bytes(ROOT.pem)
    (made / "other.pem").write_bytes(pki.authority("root").pem)
    return made


@pytest.fixture
def provider(folder: Path) -> Iterator[Issuer]:
    with issuer(folder, ROOT) as made:
        yield made


@ensureDeferred
async def test_keys_are_fetched_over_tls(folder: Path, provider: Issuer) -> None:
    assert await Fetcher(reactor, folder / "ca.pem")(provider.jwks_uri) == provider.published()


@ensureDeferred
async def test_the_largest_body_is_taken_whole(folder: Path, provider: Issuer) -> None:
    body = b"x" * LARGEST_BYTES
    provider.answer = lambda: (200, {}, body)
    assert await Fetcher(reactor, folder / "ca.pem")(provider.jwks_uri) == body


@pytest.mark.parametrize(
    ("status", "headers", "size", "told"),
    [
        (301, {"Location": "/keys"}, 0, "status 301"),
        (302, {"Location": "http://localhost/keys"}, 0, "status 302"),
        (307, {"Location": "https://localhost:1/keys"}, 0, "status 307"),
        (401, {}, 0, "status 401"),
        (404, {}, 10, "status 404"),
        (500, {}, 10, "status 500"),
        (204, {}, 0, "status 204"),
        (200, {}, LARGEST_BYTES + 1, "longer than"),
        (200, {}, 50_000_000, "longer than"),
        (200, {"Content-Encoding": "gzip"}, -1, "compressed"),
        (200, {"Content-Encoding": "br"}, 10, "compressed"),
    ],
)
@ensureDeferred
async def test_other_answers_are_none(
    folder: Path,
    provider: Issuer,
    status: int,
    headers: dict[str, str],
    size: int,
    told: str,
) -> None:
    """A redirect is not followed, a long or packed body not read, an error not taken for keys."""
    body = bomb() if size < 0 else b"x" * size
    provider.answer = lambda: (status, headers, body)
    with pytest.raises(FetchFailed, match=told):
        await Fetcher(reactor, folder / "ca.pem")(provider.jwks_uri)
    assert provider.fetches == ["/keys"]


@ensureDeferred
async def test_a_certificate_of_a_stranger_is_refused(folder: Path, provider: Issuer) -> None:
    """Another authority of the same name, or the system's: the connection is not trusted."""
    for authorities in (folder / "other.pem", None):
        with pytest.raises(FetchFailed, match="certificate verify failed"):
            await Fetcher(reactor, authorities)(provider.jwks_uri)
    assert provider.fetches == []


@ensureDeferred
async def test_a_certificate_for_another_host_is_refused(folder: Path, provider: Issuer) -> None:
    with pytest.raises(FetchFailed):
        await Fetcher(reactor, folder / "ca.pem")(f"https://127.0.0.1:{provider.port}/keys")
    assert provider.fetches == []


@pytest.mark.parametrize("uri", ["http://localhost/keys", "file:///etc/passwd", "keys", ""])
@ensureDeferred
async def test_only_https_is_fetched(folder: Path, uri: str) -> None:
    with pytest.raises(FetchFailed, match="not https"):
        await Fetcher(reactor, folder / "ca.pem")(uri)


@ensureDeferred
async def test_nobody_there_is_told(folder: Path) -> None:
    with pytest.raises(FetchFailed, match="refused"):
        await Fetcher(reactor, folder / "ca.pem")("https://localhost:1/keys")


@ensureDeferred
async def test_a_slow_issuer_is_given_up(
    folder: Path, provider: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "TOTAL_SECONDS", 0.3)
    provider.pause_seconds = 1.0
    with pytest.raises(FetchFailed, match="takes too long"):
        await Fetcher(reactor, folder / "ca.pem")(provider.jwks_uri)


@ensureDeferred
async def test_many_fetches_leave_no_connection_behind(folder: Path, provider: Issuer) -> None:
    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    fetch = Fetcher(reactor, folder / "ca.pem")
    await fetch(provider.jwks_uri)
    before = descriptors()
    provider.answer = lambda: (200, {}, b"x" * (LARGEST_BYTES + 1))
    for _ in range(10):
        with pytest.raises(FetchFailed):
            await fetch(provider.jwks_uri)
    await gatherResults([deferToThread(int) for _ in range(3)])
    assert descriptors() <= before + 5


@pytest.mark.parametrize("content", [b"", b"no certificate"])
def test_a_file_of_authorities_without_any_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ca.pem"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="no readable PEM certificate"):
        Fetcher(reactor, path)
