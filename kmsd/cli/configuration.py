"""The configuration: `kms.json` as of 4.x, or TOML as of 4.21, and the environment over it.

| setting                    | JSON, up to 4.20             | TOML, 4.21 on, in [http_config]    |
| URL of the server          | kms_server_url               | server_url                         |
| bearer token               | kms_access_token             | access_token                       |
| secret of the database     | kms_database_secret          | database_secret                    |
| accept any certificate     | insecure, accept_invalid_certs | accept_invalid_certs             |
| certificate to expect, PEM | verified_cert                | verified_cert                      |
| the client's certificate   | ssl_client_pkcs12_path, ssl_client_pkcs12_password | the same     |
| authorities to trust       | ca_cert                      | ca_cert (a path; ours)             |
| single sign-on             | oauth2_conf                  | [http_config.oauth2_conf]          |
| show requests and answers  | print_json                   | print_json (outside the section)   |

Either file may be spelled either way.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from kmsd.cli import files
from kmsd.cli.errors import CommandFailed

DEFAULT_URL = "http://0.0.0.0:9998"
OLD_PROGRAM = "cosmian_kms_cli"
_LARGEST = 1 << 20

# A comma before a closing bracket, which the product's documentation has in its examples.
_TRAILING_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])')

_NAMES = {
    "kms_server_url": "server_url",
    "kms_access_token": "access_token",
    "kms_database_secret": "database_secret",
    "insecure": "accept_invalid_certs",
}
_SECTIONS = ("http_config", "kms_config")
_NOT_USED = frozenset({"gmail_api_conf", "jwe_public_key", "proxy_params"})


@dataclass(frozen=True, kw_only=True)
class OAuth2:
    """Where `login` gets its token. Source: the product, 4.5 and later."""

    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    authorize_url: str = ""
    token_url: str = ""
    scopes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Configuration:
    """All settings; `path` is the file they came from, if there is one."""

    server_url: str = DEFAULT_URL
    access_token: str | None = field(default=None, repr=False)
    database_secret: str | None = field(default=None, repr=False)
    accept_invalid_certs: bool = False
    verified_cert: str | None = None
    ca_cert: str | None = None
    ssl_client_pkcs12_path: str | None = None
    ssl_client_pkcs12_password: str | None = field(default=None, repr=False)
    oauth2_conf: OAuth2 | None = None
    print_json: bool = False
    timeout: float = 120.0
    path: Path | None = None
    unknown: tuple[str, ...] = ()


# Settings that the environment sets, over the file: a secret need not be on the disk.
ENVIRONMENT = {
    "CKMS_URL": "server_url",
    "CKMS_ACCESS_TOKEN": "access_token",
    "CKMS_DATABASE_SECRET": "database_secret",
    "CKMS_CA_CERT": "ca_cert",
    "CKMS_PKCS12_PATH": "ssl_client_pkcs12_path",
    "CKMS_PKCS12_PASSWORD": "ssl_client_pkcs12_password",
    "CKMS_TIMEOUT": "timeout",
}


def configured(
    named: str | None,
    program: str,
    environment: Mapping[str, str] = os.environ,
    overrides: Mapping[str, Any] | None = None,
) -> Configuration:
    """Return the settings: of the file, of the environment over it, and `overrides` over both.

    Raises:
        CommandFailed: the file that is named is not there, or is not a configuration.
    """
    path = place(named, program, environment)
    values = read(path) if path else {}
    for variable, name in ENVIRONMENT.items():
        if environment.get(variable):
            values[name] = environment[variable]
    values |= {name: value for name, value in (overrides or {}).items() if value is not None}
    return _checked(values, path)


def place(named: str | None, program: str, environment: Mapping[str, str]) -> Path | None:
    """Return the configuration file: the one that is named, or the first one that there is.

    Raises:
        CommandFailed: the one that is named is not there.
    """
    named = named or environment.get("KMS_CLI_CONF") or environment.get("CKMS_CONF")
    if named:
        path = Path(named).expanduser()
        if not path.is_file():
            raise CommandFailed(
                f"there is no configuration file {path}: write one, such as"
                f' {{"kms_server_url": "{DEFAULT_URL}", "kms_access_token": ""}}'
            )
        return path
    return next((path for path in usual_places(program, environment) if path.is_file()), None)


def usual_places(program: str, environment: Mapping[str, str]) -> Iterator[Path]:
    """Yield where the file is looked for; the working folder only by the program that did so."""
    if program == OLD_PROGRAM:
        yield Path("kms.json")
    for folder in (Path(environment.get("HOME", "/")) / ".cosmian", Path("/etc/cosmian")):
        for name in ("kms.toml", "kms.json", "ckms.toml"):
            yield folder / name


def read(path: Path) -> dict[str, Any]:
    """Return the settings in a file under the names that they have in `Configuration`.

    Raises:
        CommandFailed: it cannot be read, or is neither JSON nor TOML.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_LARGEST).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"{path} cannot be read: {error}") from None
    found = _parsed(path, text)
    flat = {name: value for name, value in found.items() if name not in _SECTIONS}
    for section in _SECTIONS:
        if isinstance(found.get(section), dict):
            flat |= found[section]
    return {_NAMES.get(name, name): value for name, value in flat.items()}


def _parsed(path: Path, text: str) -> dict[str, Any]:
    try:
        found = lenient_json(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except ValueError as error:
        raise CommandFailed(f"{path} is neither JSON nor TOML: {error}") from None
    if not isinstance(found, dict):
        raise CommandFailed(f"{path} is no configuration: it must be a JSON object or TOML")
    return found


def lenient_json(text: str) -> Any:
    """Read JSON that may have a comma too many before a bracket. Raises: ValueError."""
    try:
        return json.loads(text)
    except ValueError:
        return json.loads(_TRAILING_COMMA.sub(lambda found: found[1] or "", text))


def _checked(values: dict[str, Any], path: Path | None) -> Configuration:
    """Make the configuration, with every setting of its type."""
    known = {each.name: each for each in fields(Configuration)} | dict.fromkeys(_NOT_USED)
    settings: dict[str, Any] = {}
    for name, value in values.items():
        if name in known and name not in _NOT_USED and value is not None:
            settings[name] = _typed(name, value, path)
    unknown = tuple(name for name in values if name not in known)
    return Configuration(**settings | {"path": path, "unknown": unknown})


def _typed(name: str, value: Any, path: Path | None) -> Any:
    try:
        if name == "oauth2_conf":
            given = {key: each for key, each in value.items() if key in _OAUTH2}
            return OAuth2(**given | {"scopes": tuple(value.get("scopes", ()))})
        if name == "timeout":
            return float(value)
    except (TypeError, ValueError, AttributeError):
        raise _unfit(name, path) from None
    wanted = bool if name in {"accept_invalid_certs", "print_json"} else str
    if not isinstance(value, wanted):
        raise _unfit(name, path)
    return value or None if name in _MAY_BE_EMPTY else value


def _unfit(name: str, path: Path | None) -> CommandFailed:
    return CommandFailed(f"{path or 'the environment'}: {name} has no fitting value")


_OAUTH2 = frozenset(each.name for each in fields(OAuth2))
_MAY_BE_EMPTY = frozenset(
    {
        "access_token",
        "database_secret",
        "verified_cert",
        "ca_cert",
        "ssl_client_pkcs12_path",
        "ssl_client_pkcs12_password",
    }
)


# Keeping a token

_TOML_TOKEN = re.compile(r"^[ \t]*access_token[ \t]*=.*\n?", re.MULTILINE)
_TOML_SECTION = re.compile(r"^[ \t]*\[http_config\][^\n]*\n?", re.MULTILINE)


def kept_token(settings: Configuration, token: str | None) -> Path:
    """Write a token into the configuration file, or take it out; return which file.

    The file is then for its owner only. Raises: CommandFailed.
    """
    path = settings.path or Path(os.environ.get("HOME", "/")) / ".cosmian" / "kms.toml"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (
            path.read_text() if path.exists() else f'[http_config]\nserver_url = "{DEFAULT_URL}"\n'
        )
    except OSError as error:
        raise CommandFailed(f"{path} cannot be read: {error.strerror}") from None
    is_json = text.lstrip().startswith("{")
    changed = _json_with(text, token) if is_json else _toml_with(text, token)
    files.write(str(path), changed.encode(), secret=True)
    return path


def _json_with(text: str, token: str | None) -> str:
    found = lenient_json(text)
    holder, name = found, "kms_access_token"
    for section in _SECTIONS:
        if isinstance(found.get(section), dict):
            holder, name = found[section], "access_token"
    holder.pop(name, None)
    if token is not None:
        holder[name] = token
    return json.dumps(found, indent=2) + "\n"


def _toml_with(text: str, token: str | None) -> str:
    text = _TOML_TOKEN.sub("", text)
    if token is None:
        return text
    line = f"access_token = {json.dumps(token)}\n"
    section = _TOML_SECTION.search(text)
    if section is None:
        return f"{text.rstrip()}\n\n[http_config]\n{line}".lstrip()
    head = text[: section.end()]
    return f"{head}{'' if head.endswith(chr(10)) else chr(10)}{line}{text[section.end() :]}"
