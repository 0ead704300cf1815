"""Installs the published clients, each apart from our own packages, once per machine.

They go to ``.clients/`` in the repository, which git ignores: the Python client into a virtual
environment of its own (it brings its own OpenSSL), the JavaScript client into a folder of npm's.
"""

from __future__ import annotations

import contextlib
import fcntl
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

CACHE = Path(__file__).parents[2] / ".clients"
PYTHON_PACKAGES = ("cosmian-kms==4.22.1", "cover-crypt==14.0.0")
PYKMIP_PACKAGES = ("pykmip==0.11.0",)
# cloudproof_js needs uuid and does not say so.
JAVASCRIPT_PACKAGES = ("cloudproof_js@10.0.1", "uuid@14.0.0")
INSTALL_SECONDS = 300


class ClientMissingError(Exception):
    """A client cannot be had on this machine; the text says what is missing."""


def python_interpreter() -> Path:
    """Give the interpreter that imports ``cosmian_kms``; install it when need be."""
    return _installed("python", PYTHON_PACKAGES, _install_python) / "bin/python"


def pykmip_interpreter() -> Path:
    """Give the interpreter that imports ``kmip``; install it when need be."""
    return _installed("pykmip", PYKMIP_PACKAGES, _install_python) / "bin/python"


def javascript_folder() -> Path:
    """Give the folder whose ``node_modules`` holds ``cloudproof_js``; install it when need be."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise ClientMissingError(f"needs {program} (Debian packages nodejs, npm)")
    return _installed("javascript", JAVASCRIPT_PACKAGES, _install_javascript)


def _installed(
    name: str, packages: tuple[str, ...], install: Callable[[Path, tuple[str, ...]], None]
) -> Path:
    folder, wanted = CACHE / name, "\n".join(packages)
    with _lock():
        mark = folder / "installed.txt"  # written last: an install that was cut short is repeated
        if not mark.exists() or mark.read_text() != wanted:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            install(folder, packages)
            mark.write_text(wanted)
    return folder


def _install_python(folder: Path, packages: tuple[str, ...]) -> None:
    _run(sys.executable, "-m", "venv", str(folder))
    _run(str(folder / "bin/python"), "-m", "pip", "install", "--quiet", *packages)


def _install_javascript(folder: Path, packages: tuple[str, ...]) -> None:
    (folder / "package.json").write_text('{"private": true}\n')
    # No install scripts: the only one compiles a database for a part that nothing here uses.
    options = ("--ignore-scripts", "--no-audit", "--no-fund", "--save-exact")
    _run("npm", "install", "--prefix", str(folder), *options, *packages)


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise ClientMissingError(f"{command[0]} took over {INSTALL_SECONDS} s") from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).strip().splitlines()
        reason = said[-1] if said else f"exit {error.returncode}"
        raise ClientMissingError(f"cannot install {' '.join(command[-2:])}: {reason}") from error


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    """Let one test run at a time install."""
    CACHE.mkdir(exist_ok=True)
    (CACHE / ".gitignore").write_text("*\n")
    with (CACHE / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
