"""Public black-box vectors, replayed by their own runner against fresh servers, on each database.

Each vector is a test. Those that wait for a feature are in ``vectors_expected.toml`` with what they
wait for; the list only shrinks, for a vector on it that passes fails its test. There is a plain
server, one with HTTPS and one with client certificates. Vectors that need a server of yet another
kind (hardware, a policy server) are skipped, with the runner's reason.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET  # its input is the report of the runner that we started
from pathlib import Path

import pytest

from tests.backends import (
    KINDS,
    DatabaseOptions,
    database_options,
    kmsd_on,
    mariadb,
    postgresql,
)
from tests.clients.server import kmsd

__all__ = ["database_options", "mariadb", "postgresql"]

REPOSITORY = Path(__file__).parents[2]
SHARED = Path(os.environ.get("KMSD_SHARED", REPOSITORY.parent / "shared"))
VECTORS, RUNNER = SHARED / "vectors/vectors", SHARED / "tools/vector_runner.py"
MAKE_CERTIFICATES = SHARED / "tools/make_certificates"
NAMES = sorted(str(path.parent.relative_to(VECTORS)) for path in VECTORS.rglob("manifest.toml"))
EXPECTED: dict[str, str] = {
    name: reason
    for reason, names in tomllib.loads(
        Path(__file__).with_name("vectors_expected.toml").read_text()
    ).items()
    for name in names
}
RUN_SECONDS = 900

pytestmark = [pytest.mark.slow, pytest.mark.needs_shared]
if not NAMES:
    pytestmark.append(pytest.mark.skip(reason=f"needs the shared vectors (in {VECTORS})"))


Outcomes = dict[str, ET.Element]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the certificates that vectors name, below which they are in `certificates`."""
    folder: Path = tmp_path_factory.mktemp("certificates")
    subprocess.run([MAKE_CERTIFICATES, folder], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module", params=KINDS)
def outcomes(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    certificates: Path,
    database_options: DatabaseOptions,
) -> Outcomes:
    """What came of each vector, as the runner's report says it; one run for all of a database."""
    kind: str = request.param
    with contextlib.ExitStack() as stack:

        def folder() -> Path:
            made: Path = tmp_path_factory.mktemp("kmsd")
            return made

        url = stack.enter_context(kmsd_on(kind, folder(), *database_options(kind)))
        servers = ["--url", url]
        if kind != "sqlite-enc":  # the runner cannot send the secret of a database itself
            for name, options in _tls(certificates / "certificates/client_server").items():
                secure = kmsd(folder(), *options, *database_options(kind))
                servers += [f"--{name}-url", stack.enter_context(secure)]
        report = _run(servers, certificates, folder() / "vectors.xml")
    return {
        f"{case.attrib['classname'].replace('.', '/')}/{case.attrib['name']}": case
        for case in report.iter("testcase")
    }


def _tls(folder: Path) -> dict[str, tuple[str, ...]]:
    """Return the options of the servers with TLS, by the kind that vectors ask for."""
    p12 = folder / "server/kmserver.acme.com.p12"
    https = (f"--https-p12-file={p12}", "--https-p12-password=password")
    return {"https": https, "mtls": (*https, f"--authority-cert-file={folder / 'ca/ca.crt'}")}


def _run(servers: list[str], certificates: Path, junit: Path) -> ET.Element:
    ran = subprocess.run(
        [
            sys.executable, str(RUNNER), *servers, "--vectors", str(VECTORS),
            "--test-data", str(certificates), "--jobs", "8", "--junit", str(junit), "--quiet",
            "--ca-file", str(certificates / "certificates/client_server/ca/ca.crt"),
        ],
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )  # fmt: skip
    assert junit.exists(), ran.stderr
    return ET.parse(junit).getroot()  # noqa: S314


def _state(case: ET.Element) -> str:
    return "passed" if len(case) == 0 else case[0].tag


@pytest.mark.parametrize("name", NAMES)
def test_the_vector_passes(name: str, outcomes: Outcomes, request: pytest.FixtureRequest) -> None:
    """The server answers as the vector's manifest says."""
    case = outcomes[name]
    if _state(case) == "skipped":
        pytest.skip(case[0].attrib["message"])
    if reason := EXPECTED.get(name):
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    assert _state(case) == "passed", case[0].text


def test_the_list_names_vectors_that_exist() -> None:
    """No vector is expected to fail that is not there."""
    assert set(EXPECTED) <= set(NAMES)


def test_every_vector_is_accounted_for(
    outcomes: Outcomes, capsys: pytest.CaptureFixture[str]
) -> None:
    """The runner reports on each vector once; how many pass is printed."""
    assert sorted(outcomes) == NAMES
    states = [_state(case) for case in outcomes.values()]
    passed, failed, skipped = (states.count(one) for one in ("passed", "failure", "skipped"))
    with capsys.disabled():
        print(f"\nvectors: {passed} passed, {failed} failed, {skipped} skipped")  # noqa: T201
    assert passed
