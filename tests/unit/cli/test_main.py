"""The tree of commands as it is documented, and the command lines that are none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from kmsd.cli.errors import next_step
from kmsd.cli.main import cli, parse
from kmsd.cli.options import SECRET, usage_mask
from kmsd.kmip.enums import CryptographicUsageMask as Mask

# Command → the options that the product documents for it, in 4.1 to 4.3 and in 4.22.1.
DOCUMENTED = """
cc init: -p --policy
cc rotate: -s --secret-key-id -a --attributes
cc new: -s --secret-key-id
cc export: -i --object-id -o --object-file
cc import: -f --object-file -i --unique-id -r --replace-existing
cc import-keys: -S --secret-key-file -P --public-key-file -p --policy -U --user-key-file -s
    --secret-key-id -a --access-policy -W --password -w --wrapped
cc export-keys: -k --key-id -W --password
cc revoke: -u --user-key-id -r --revocation-reason
cc destroy: -u --user-key-id
cc encrypt: -a --access-policy -o --output-file -r --resource-uid -p --public-key-id
    -k --key-id -t --tag --authentication-data
cc decrypt: -o --output-file -r --resource-uid -u --user-key-id -k --key-id -t --tag
    -a --authentication-data
permission add: -u --user -o --operation
permission remove: -u --user -o --operation
permission list:
permission owned:
permission shared:
configure:
access-rights grant:
access-rights revoke:
access-rights list:
access-rights owned:
access-rights obtained:
attributes get: -i --id -t --tag -a --attribute -l --link-type -o --output-file
attributes set: -i -t -d --activation-date -a --cryptographic-algorithm --cryptographic-length
    -u --key-usage --public-key-id --private-key-id --certificate-id --p12-id --p12-pwd
    --parent-id --child-id -v --vendor-identification -n --attribute-name --attribute-value
attributes delete: -i -t -d -a -u -v -n --attribute-value --attribute
cc keys create-master-key-pair: -s --policy-specifications -b --policy-binary -t --sensitive
cc keys create-user-key: -t --sensitive
cc keys rekey: -k -t
cc keys prune: -k -t
cc policy create: -s --specifications -p --policy
cc policy specs: -i --key-id -f --key-file -s
cc policy binary: -i --key-id -f --key-file -p
cc policy view: -i --key-id -f --key-file -d --detailed
cc policy add-attribute: --hybridized -k -t
cc policy remove-attribute: -k -t
cc policy disable-attribute: -k -t
cc policy rename-attribute: -k -t
sym keys create: -l --number-of-bits -k --bytes-b64 -a --algorithm -t --sensitive -w
    --wrapping-key-id
sym keys re-key: -k
sym encrypt: -k -t -d --data-encryption-algorithm -e --key-encryption-algorithm -o -n --nonce -a
    --authentication-data
sym decrypt: -k -t -d -e -o -a
ec keys create: -c --curve -t --sensitive
ec encrypt: -k -t -o -a
ec decrypt: -k -t -o -a
rsa keys create: -s --size_in_bits -t --sensitive
rsa encrypt: -k -t -e --encryption-algorithm -s --hashing-algorithm -o
rsa decrypt: -k -t -e -s -o
certificates certify: -c --certificate-id -r --certificate-signing-request -f -p
    --public-key-id-to-certify -n --certificate-id-to-re-certify -g --generate-key-pair -a
    --algorithm -s --subject-name -k --issuer-private-key-id -i --issuer-certificate-id -d --days
    -e --certificate-extensions -t
certificates encrypt: -c -t -o -a -e
certificates decrypt: -k -t -o -a -e
certificates import: -f --format -k -q --public-key-id -i --issuer-certificate-id -p
    --pkcs12-password -r --replace -t --key-usage
certificates export: -c -t -f -p -r --allow-revoked
certificates revoke: -c -t
certificates destroy: -c -t --remove
certificates validate: -v --certificate -k --unique-identifier -t --validity-time
locate: -t -a --algorithm -l --cryptographic-length -f --key-format-type -o --object-type -p
    --public-key-id -k --private-key-id -c --certificate-id
new-database:
server-version:
login:
logout:
"""
SHARED = """
export: -k --key-id -t --tag -f --key-format -u --unwrap -w --wrap-key-id -i --allow-revoked -m
    --wrapping-algorithm -d --authenticated-additional-data
import: -f --key-format -p --public-key-id -k --private-key-id -c --certificate-id -u --unwrap -r
    --replace -t --key-usage -d
wrap: -p -k -i -f
unwrap: -k -i -f
revoke: -k -t
destroy: -k -t --remove
"""


def _rows(text: str) -> list[tuple[str, list[str]]]:
    joined = text.replace("\n    ", " ").strip().splitlines()
    return [(name, options.split()) for name, _, options in (row.partition(":") for row in joined)]


EXPECTED = _rows(DOCUMENTED) + [
    (f"{group} keys {name}", options)
    for group in ("sym", "rsa", "ec", "cc")
    for name, options in _rows(SHARED)
]


def _command(path: str) -> click.Command:
    command: click.Command = cli()
    for name in path.split():
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), name)
        assert found is not None, f"there is no command {path!r}"
        command = found
    return command


@pytest.mark.parametrize(("path", "options"), EXPECTED, ids=[path for path, _ in EXPECTED])
def test_the_documented_commands_are_there(path: str, options: list[str]) -> None:
    """Every command that the product documents exists, with every option, in both spellings."""
    there = {name for parameter in _command(path).params for name in parameter.opts}
    assert set(options) <= there


def test_every_command_tells_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` of every group and command has a sentence, and every option a word on it or a
    meaning that its name gives.
    """
    for path, _ in EXPECTED:
        assert parse([*path.split(), "--help"]) == 0
        usage, _, text = capsys.readouterr().out.partition("\n\n")
        assert usage.startswith(f"Usage: ckms {path}")
        assert text.strip()


@pytest.mark.parametrize(
    "line",
    [
        "nonsense",
        "sym nonsense",
        "sym keys create --nonsense",
        "sym keys create -l many",
        "sym keys create -a rot13",
        "sym encrypt",
        "access-rights grant bob key",
        "locate -a rot13",
        "sym encrypt f -n xyz",
        "--output xml server-version",
    ],
)
def test_a_wrong_command_line_is_2(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What is no command line exits with 2, says what is wrong and where help is."""
    assert parse(line.split()) == 2
    said = capsys.readouterr().err
    assert "ERROR: " in said
    assert "--help" in said


def test_help_and_version_need_no_server(capsys: pytest.CaptureFixture[str]) -> None:
    """They are 0; no arguments at all are a question for help."""
    assert parse(["--help"]) == 0
    assert parse(["--version"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("ckms ")
    assert parse([]) == 2


def test_help_is_quick() -> None:
    """`--help` of the whole imports neither Twisted nor the cryptography."""
    script = (
        "import sys; from kmsd.cli.main import parse; parse(['--help']);"
        "sys.exit(any(each in sys.modules for each in"
        " ('twisted.internet.reactor', 'cryptography', 'kmsd.operations')))"
    )
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", script], cwd=root, check=False).returncode == 0


def test_global_options_stand_anywhere() -> None:
    """`--output json` and `--url` may stand before the command or behind it."""
    for line in ("--output json --url http://u locate", "locate --output json --url http://u"):
        parsed = parse(line.split())
        assert not isinstance(parsed, int)
        options = parsed[1]
        assert options.output is not None
        assert (options.output.value, options.url) == ("json", "http://u")


def test_secrets_come_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret is fetched from a variable or a file; a literal one may begin like either."""
    (tmp_path / "secret").write_text("in the file\n")
    monkeypatch.setenv("SECRET", "in the variable")
    convert = SECRET.convert
    assert convert("env:SECRET", None, None) == "in the variable"
    assert convert(f"file:{tmp_path}/secret", None, None) == "in the file"
    assert convert("pass:env:SECRET", None, None) == "env:SECRET"
    assert convert("plain", None, None) == "plain"
    for missing in ("env:NO_SUCH_VARIABLE", f"file:{tmp_path}/missing"):
        with pytest.raises(click.UsageError):
            convert(missing, None, None)


def test_uses_of_keys_are_named() -> None:
    """Uses may be written with dashes, underscores or neither; others are refused with a list."""
    assert usage_mask(["encrypt", "wrap-key", "UnwrapKey", "mac_generate"]) == (
        Mask.ENCRYPT | Mask.WRAP_KEY | Mask.UNWRAP_KEY | Mask.MAC_GENERATE
    )
    assert usage_mask([]) is None
    with pytest.raises(click.UsageError, match="encrypt"):
        usage_mask(["fly"])


def test_errors_name_the_next_step() -> None:
    """An error is followed by what to do, where there is something to do."""
    assert "locate" in next_step("ITEM_NOT_FOUND", "")
    assert "revoke" in next_step("INVALID_MESSAGE", "It must be revoked first")
    assert "ckms new-database" in next_step("PERMISSION_DENIED", "no such database")
    assert next_step("GENERAL_FAILURE", "no idea") == ""
