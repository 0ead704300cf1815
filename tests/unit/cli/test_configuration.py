"""Where the settings come from, and what becomes of them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from kmsd.cli.configuration import DEFAULT_URL, Configuration, configured, kept_token
from kmsd.cli.errors import CommandFailed

DOCUMENTED = '{ "kms_server_url": "http://127.0.0.1:9998", "kms_access_token": "" }'
TOML = """
print_json = true

[http_config]
server_url = "https://kms.example.com"
access_token = "token"
accept_invalid_certs = true
ssl_client_pkcs12_path = "me.p12"
ssl_client_pkcs12_password = "word"

[gmail_api_conf]
account_type = "service_account"
"""


def _read(tmp_path: Path, text: str, **environment: str) -> Configuration:
    path = tmp_path / "conf"
    path.write_text(text)
    return configured(str(path), "ckms", environment)


def test_the_documents_kms_json_is_read(tmp_path: Path) -> None:
    """The file of the documentation names the server; its empty token is none."""
    found = _read(tmp_path, DOCUMENTED)
    assert found.server_url == "http://127.0.0.1:9998"
    assert found.access_token is None
    assert found.unknown == ()


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ('{"kms_server_url": "u", "insecure": true}', "accept_invalid_certs", True),
        ('{"kms_server_url": "u", "accept_invalid_certs": true}', "accept_invalid_certs", True),
        ('{"kms_database_secret": "s"}', "database_secret", "s"),
        ('{"http_config": {"server_url": "u"}}', "server_url", "u"),
        ('{"kms_server_url": "u",}', "server_url", "u"),
        ("{}", "server_url", DEFAULT_URL),
        (TOML, "server_url", "https://kms.example.com"),
        (TOML, "access_token", "token"),
        (TOML, "ssl_client_pkcs12_password", "word"),
        (TOML, "accept_invalid_certs", True),
        (TOML, "print_json", True),
        ('kms_server_url = "u"', "server_url", "u"),
    ],
)
def test_files_of_every_version_are_read(tmp_path: Path, text: str, name: str, value: Any) -> None:
    """JSON of 4.0 to 4.20 and TOML of 4.21 and later give the same settings."""
    assert getattr(_read(tmp_path, text), name) == value


@pytest.mark.parametrize(
    "text", ["no configuration", '{"kms_server_url": 1}', '{"insecure": "yes"}', "a = "]
)
def test_what_is_no_configuration_is_refused(tmp_path: Path, text: str) -> None:
    """A file that is neither, or a setting of another type, is an error that names the file."""
    with pytest.raises(CommandFailed, match="conf"):
        _read(tmp_path, text)


def test_unknown_settings_are_noticed(tmp_path: Path) -> None:
    """A setting that nobody knows is told, one that the product has for other things is not."""
    found = _read(tmp_path, '{"kms_sever_url": "u", "gmail_api_conf": {}}')
    assert found.unknown == ("kms_sever_url",)


def test_the_environment_wins(tmp_path: Path) -> None:
    """Secrets in the environment take the place of the file's."""
    found = _read(
        tmp_path, TOML, CKMS_ACCESS_TOKEN="other", CKMS_DATABASE_SECRET="s", CKMS_TIMEOUT="7"
    )
    assert (found.access_token, found.database_secret, found.timeout) == ("other", "s", 7.0)
    with pytest.raises(CommandFailed, match="timeout"):
        _read(tmp_path, TOML, CKMS_TIMEOUT="soon")


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    """The representation of the settings has neither token nor passwords."""
    shown = repr(_read(tmp_path, TOML, CKMS_DATABASE_SECRET="sesame"))
    for secret in ("token", "word", "sesame"):
        assert f"'{secret}'" not in shown


def test_the_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    """KMS_CLI_CONF and --conf-path name a file; if it is not there, that is an error."""
    missing = str(tmp_path / "missing.json")
    for named, environment in ((missing, {}), (None, {"KMS_CLI_CONF": missing})):
        with pytest.raises(CommandFailed, match=r"missing\.json"):
            configured(named, "ckms", environment)


def test_files_are_looked_for_in_the_usual_places(tmp_path: Path) -> None:
    """~/.cosmian is looked into, TOML first; the working folder only by the program of 4.3."""
    home, work = tmp_path / "home", tmp_path / "work"
    (home / ".cosmian").mkdir(parents=True)
    work.mkdir()
    environment = {"HOME": str(home)}
    assert configured(None, "ckms", environment).server_url == DEFAULT_URL
    (home / ".cosmian/kms.json").write_text('{"kms_server_url": "json"}')
    assert configured(None, "ckms", environment).server_url == "json"
    (home / ".cosmian/kms.toml").write_text('[http_config]\nserver_url = "toml"')
    assert configured(None, "ckms", environment).server_url == "toml"
    (work / "kms.json").write_text('{"kms_server_url": "here"}')
    with contextlib.chdir(work):
        assert configured(None, "ckms", environment).server_url == "toml"
        assert configured(None, "cosmian_kms_cli", environment).server_url == "here"


@pytest.mark.parametrize(
    "text",
    [
        DOCUMENTED,
        '{"http_config": {"server_url": "u"}}',
        TOML,
        "print_json = true\n",
        "# mine\n[http_config] # the server\nserver_url = 'u'\n[http_config.oauth2_conf]\n",
    ],
)
def test_a_token_is_kept_and_forgotten(tmp_path: Path, text: str) -> None:
    """A token goes into the file and out again, whatever it holds, and all else stays."""
    before = _read(tmp_path, text)
    token = 'a "strange" token\\'
    path = kept_token(before, token)
    after = configured(str(path), "ckms", {})
    assert after.access_token == token
    kept_token(after, None)
    gone = configured(str(path), "ckms", {})
    assert gone.access_token is None
    assert (gone.server_url, gone.print_json) == (before.server_url, before.print_json)
    if text.startswith("#"):
        assert "# mine" in path.read_text()


def test_a_first_token_makes_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a configuration, one is made in ~/.cosmian."""
    monkeypatch.setenv("HOME", str(tmp_path))
    path = kept_token(Configuration(), "token")
    assert path == tmp_path / ".cosmian/kms.toml"
    assert configured(str(path), "ckms", {}).access_token == "token"
    assert json.dumps(DEFAULT_URL) in path.read_text()
