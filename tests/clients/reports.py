"""Runs a driver in a process of its own and reads its report."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients import environment, python_covercrypt, python_keys

REPOSITORY = Path(__file__).parents[2]
DRIVERS = Path(__file__).parent
DRIVER_SECONDS = 300
# In the JavaScript drivers a behaviour begins like this; its name and its sentence are literals.
DECLARATION = re.compile(r'^behaviour\(\s*"(\w+)"', re.MULTILINE)


@dataclass(frozen=True)
class Driver:
    """A client and the behaviours it is driven through."""

    name: str
    behaviours: tuple[str, ...]

    def command(self, url: str, guest_url: str) -> list[str]:
        """Say how it is run; `environment.ClientMissingError` when it cannot be."""
        if self.name.startswith("python_"):
            python = str(environment.python_interpreter())
            return [python, "-m", f"tests.clients.{self.name}", url]
        folder = str(environment.javascript_folder())
        return ["node", str(DRIVERS / f"{self.name}.mjs"), folder, url, guest_url]

    def run(self, url: str, guest_url: str) -> dict[str, Any]:
        """Run it; behaviour → {"failed", "facts"}. Its exit code says nothing, so none is asked."""
        ran = subprocess.run(
            self.command(url, guest_url),
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=DRIVER_SECONDS,
            check=False,
        )
        lines = ran.stdout.splitlines()
        assert lines, f"{self.name} reported nothing:\n{ran.stderr}"
        report: dict[str, Any] = json.loads(lines[-1])
        return report


def _declared(name: str) -> tuple[str, ...]:
    return tuple(DECLARATION.findall((DRIVERS / f"{name}.mjs").read_text()))


PYTHON_KEYS = Driver("python_keys", tuple(python_keys.BEHAVIOURS))
PYTHON_COVERCRYPT = Driver("python_covercrypt", tuple(python_covercrypt.BEHAVIOURS))
JAVASCRIPT_KEYS = Driver("javascript_keys", _declared("javascript_keys"))
JAVASCRIPT_COVERCRYPT = Driver("javascript_covercrypt", _declared("javascript_covercrypt"))
ALL = (PYTHON_KEYS, PYTHON_COVERCRYPT, JAVASCRIPT_KEYS, JAVASCRIPT_COVERCRYPT)
