"""PyKMIP against port 5696: all that it can do, in every version that it speaks."""

from __future__ import annotations

import ast
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import pki
from tests.clients.environment import ClientMissingError, pykmip_interpreter
from tests.conftest import REPOSITORY, launch
from tests.kmip_port import options, port_of

RUN_SECONDS = 300
VERSIONS = ("1.0", "1.1", "1.2", "1.3", "1.4", "2.0")
DRIVER = REPOSITORY / "tests/clients/pykmip_driving.py"

pytestmark = pytest.mark.slow


def _behaviours() -> Iterator[tuple[str, str]]:
    """Yield each version and the name of a behaviour that it has, from the driver's own marks."""
    tree = ast.parse(DRIVER.read_text())
    for function in (each for each in tree.body if isinstance(each, ast.FunctionDef)):
        for mark in function.decorator_list:
            if isinstance(mark, ast.Call) and getattr(mark.func, "id", "") == "behaviour":
                yield from ((version, function.name) for version in _marked(mark))


def _marked(mark: ast.Call) -> Iterator[str]:
    given = {"since": "1.0", "last": "2.0"}
    given |= dict(zip(given, map(ast.literal_eval, mark.args), strict=False))
    given |= {word.arg or "": ast.literal_eval(word.value) for word in mark.keywords}
    return (version for version in VERSIONS if given["since"] <= version <= given["last"])


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, str]]:
    """What came of each behaviour (empty: well), by version."""
    try:
        interpreter = pykmip_interpreter()
    except ClientMissingError as error:
        pytest.skip(str(error))
    folder: Path = tmp_path_factory.mktemp("kmsd")
    root = pki.authority(kind="rsa")
    certificate, key = pki.issue(root, "alice", kind="rsa", usages=(pki.CLIENT,)).write(
        folder, "alice"
    )
    server = launch(folder, *options(folder, root))
    try:
        shown = (str(port_of(server)), str(folder / "authorities.pem"), certificate, key)
        return {version: _driven(interpreter, *map(str, shown), version) for version in VERSIONS}
    finally:
        assert server.stop() == 0


def _driven(interpreter: Path, *arguments: str) -> dict[str, str]:
    ran = subprocess.run(
        [interpreter, "-m", "tests.clients.pykmip_driving", *arguments],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        timeout=RUN_SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    report: dict[str, str] = json.loads(ran.stdout)
    return report


@pytest.mark.parametrize(("version", "behaviour"), [*_behaviours()])
def test_pykmip(version: str, behaviour: str, reports: dict[str, dict[str, str]]) -> None:
    """The client gets what the behaviour's docstring says."""
    assert reports[version][behaviour] == ""
