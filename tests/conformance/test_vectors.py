"""Public black-box vectors, replayed by their own runner against a fresh server.

Each vector is a test. Those that wait for a feature are in ``vectors_expected.toml`` with what they
wait for; the list only shrinks, for a vector on it that passes fails its test. Vectors that need a
server of another kind (TLS, hardware, a policy server) are skipped, with the runner's reason.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ET  # its input is the report of the runner that we started
from pathlib import Path

import pytest

from tests.clients.server import kmsd

REPOSITORY = Path(__file__).parents[2]
SHARED = Path(os.environ.get("KMSD_SHARED", REPOSITORY.parent / "shared"))
VECTORS, RUNNER = SHARED / "vectors/vectors", SHARED / "tools/vector_runner.py"
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


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ET.Element]:
    """What came of each vector, as the runner's report says it; one run for all."""
    folder: Path = tmp_path_factory.mktemp("kmsd")
    with kmsd(folder) as url:
        report = _run(url, folder / "vectors.xml")
    return {
        f"{case.attrib['classname'].replace('.', '/')}/{case.attrib['name']}": case
        for case in report.iter("testcase")
    }


def _run(url: str, junit: Path) -> ET.Element:
    options = ("--url", url, "--vectors", str(VECTORS), "--jobs", "8", "--junit", str(junit))
    ran = subprocess.run(
        [sys.executable, str(RUNNER), *options, "--quiet"],
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert junit.exists(), ran.stderr
    return ET.parse(junit).getroot()  # noqa: S314


def _state(case: ET.Element) -> str:
    return "passed" if len(case) == 0 else case[0].tag


@pytest.mark.parametrize("name", NAMES)
def test_the_vector_passes(
    name: str, outcomes: dict[str, ET.Element], request: pytest.FixtureRequest
) -> None:
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
    outcomes: dict[str, ET.Element], capsys: pytest.CaptureFixture[str]
) -> None:
    """The runner reports on each vector once; how many pass is printed."""
    assert sorted(outcomes) == NAMES
    states = [_state(case) for case in outcomes.values()]
    passed, failed, skipped = (states.count(one) for one in ("passed", "failure", "skipped"))
    with capsys.disabled():
        print(f"\nvectors: {passed} passed, {failed} failed, {skipped} skipped")  # noqa: T201
    assert passed
