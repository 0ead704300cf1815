"""The test cases of the KMIP profiles 1.4 and 2.1, replayed in each encoding.

The runner judges every response of a fresh server. What is not passed is in one list below, with
its reason; the list only shrinks, for a case on it that passes fails its test.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import pki
from tests.clients.server import kmsd
from tests.conftest import REPOSITORY, launch
from tests.kmip_port import options, port_of

SHARED = Path(os.environ.get("KMSD_SHARED", REPOSITORY.parent / "shared"))
RUNNER, CASES = SHARED / "tools/kmip_xml_runner.py", SHARED / "oasis"
RUN_SECONDS = 300
DOORS = ("ttlv", "json", "xml", "tls")

_ALTERNATIVE = "another kind of server answers so; a server passes one of CS-RNG-O-1 to 4"
_CHANCE = "wants the key that another server's Create made at random"
EXPECTED = {
    "profiles-1.4/OMOS-O-1-14": "answers a request of version 1.4 in version 1.3: a slip",
    "profiles-1.4/TL-M-3-14": _CHANCE,
    "profiles-2.1/TL-M-3-21": _CHANCE,
    "profiles-2.1/CS-RNG-O-2-21": _ALTERNATIVE,
    "profiles-2.1/CS-RNG-O-3-21": _ALTERNATIVE,
    "profiles-2.1/CS-RNG-O-4-21": _ALTERNATIVE,
    "profiles-2.1/PKCS11-M-1-21": "PKCS#11 through KMIP is not offered",
}
NAMES = sorted(
    f"profiles-{folder.name[1:]}/{case.stem}"
    for folder in CASES.glob("v*")
    for case in folder.glob("*.xml")
)

pytestmark = [pytest.mark.slow, pytest.mark.needs_shared]
if not NAMES:
    pytestmark.append(pytest.mark.skip(reason=f"needs the shared OASIS cases (in {CASES})"))


@pytest.fixture(scope="module", params=DOORS)
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What the runner says of each case it knows, by one door and encoding; one run for all."""
    folder: Path = tmp_path_factory.mktemp("kmsd")
    if request.param == "tls":
        return _by_tls(folder)
    with kmsd(folder) as url:
        return _run("--transport", "http", "--url", f"{url}kmip", "--encoding", request.param)


def _by_tls(folder: Path) -> dict[str, str]:
    root = pki.authority()
    certificate, key = pki.issue(root, "alice", usages=(pki.CLIENT,)).write(folder, "alice")
    server = launch(folder, *options(folder, root))
    try:
        place = ("--host", "127.0.0.1", "--port", str(port_of(server)))
        shown = ("--ca", str(folder / "authorities.pem"), "--cert", certificate, "--key", key)
        return _run(*place, *map(str, shown))
    finally:
        assert server.stop() == 0


def _run(*arguments: str) -> dict[str, str]:
    ran = subprocess.run(
        [sys.executable, str(RUNNER), *arguments],
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    found = re.findall(r"^(PASS|FAIL|SKIP) (\S+) *:? ?(.*)$", ran.stdout, re.MULTILINE)
    assert found, ran.stderr[-2000:]
    return {name: "" if outcome == "PASS" else f"{outcome} {text}" for outcome, name, text in found}


@pytest.mark.parametrize("name", NAMES)
def test_the_case_is_answered_as_the_profile_says(name: str, outcomes: dict[str, str]) -> None:
    """Every response of the case is the one that the profile has."""
    outcome = outcomes.get(name)
    if outcome is None:
        pytest.skip("the same case is in another set")
    if outcome.startswith("SKIP"):
        pytest.skip(outcome)
    if name in EXPECTED:
        assert outcome, f"{name} passes: take it off the list"
        pytest.xfail(EXPECTED[name])
    assert outcome == ""
