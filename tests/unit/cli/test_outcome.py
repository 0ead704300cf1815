"""What is printed."""

from __future__ import annotations

import json

import pytest

from kmsd.cli.outcome import Format, Outcome, written

OWNED = {
    "object_id": "k",
    "state": "Active",
    "is_wrapped": True,
    "attributes": {
        "KeyFormatType": "Raw",
        "ObjectType": "SymmetricKey",
        "CryptographicLength": 256,
        "VendorAttributes": [{"AttributeName": "tag", "AttributeValue": list(b'["_kk","a"]')}],
    },
}
OBTAINED = {"object_id": "k", "owner_id": "alice", "state": "Active", "operations": ["get"]}


def test_the_lines_that_scripts_look_for() -> None:
    """Identifiers stand on lines of their own after the sentence, the tags below."""
    outcome = Outcome(
        stdout="Done.",
        unique_identifier="u",
        public_key_unique_identifier="p",
        private_key_unique_identifier="s",
        tags=["a", "b"],
    )
    assert written(outcome, Format.TEXT) == (
        "Done.\n"
        "\t  Unique identifier: u\n"
        "\t  Public key unique identifier: p\n"
        "\t  Private key unique identifier: s\n"
        "\n  Tags:\n    - a\n    - b"
    )


def test_the_lines_of_4_1() -> None:
    """4.1 wrote the private key first, and did not indent."""
    outcome = Outcome(
        stdout="Done.",
        public_key_unique_identifier="p",
        private_key_unique_identifier="s",
        as_in_4_1=True,
    )
    assert written(outcome, Format.TEXT).splitlines()[1:] == [
        "Private key unique identifier: s",
        "Public key unique identifier: p",
    ]


@pytest.mark.parametrize(
    ("outcome", "line"),
    [
        (Outcome(stdout="", object_owned=[OWNED]), "[Active][Wrapped] k - Raw"),
        (Outcome(stdout="", access_rights_obtained=[OBTAINED]), "[Active][alice]k {get}"),
        (
            Outcome(stdout="", accesses=[{"user_id": "bob", "operations": ["get", "sign"]}]),
            " - bob: {get, sign}",
        ),
        (Outcome(stdout="", unique_identifiers=["u"]), "u"),
        (Outcome(stdout="", attributes={"State": "Active"}), "State: Active"),
        (Outcome(stdout="", attributes={"Link": ["a"]}), 'Link: ["a"]'),
    ],
)
def test_lists_are_a_line_each(outcome: Outcome, line: str) -> None:
    """Each item of a list is one line, in the form that scripts look for."""
    assert written(outcome, Format.TEXT) == line


def test_tables_are_for_people(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table has a head, aligned columns and no line beyond the terminal's width."""
    monkeypatch.setenv("COLUMNS", "60")
    rows = [OWNED, {**OWNED, "object_id": "another-key", "is_wrapped": False}]
    head, rule, *lines = written(Outcome(stdout="", object_owned=rows), Format.TABLE).splitlines()
    assert head.startswith("Unique identifier  State ")
    assert set(rule.rstrip("…")) == {"-", " "}
    assert [line[19:35].strip() for line in lines] == ["[Active][Wrapped", "[Active]"]
    assert all(len(line) <= 60 for line in (head, rule, *lines))
    assert written(Outcome(stdout="", accesses=[]), Format.TABLE) == "(none)"


def test_json_has_the_documented_keys() -> None:
    """JSON is one object with the sentence and what there is besides, empty lists included."""
    outcome = Outcome(stdout="Done.", unique_identifiers=[], object_owned=[OWNED], tags=[])
    assert json.loads(written(outcome, Format.JSON)) == {
        "stdout": "Done.",
        "unique_identifiers": [],
        "object_owned": [OWNED],
    }


@pytest.mark.parametrize("how", [Format.TEXT, Format.TABLE])
def test_names_do_not_steer_the_terminal(how: Format) -> None:
    """Control characters in what others have named are shown, not sent; a line stays one line."""
    evil = {**OBTAINED, "object_id": "k\x1b[2J\n[Active] mine - Raw", "owner_id": "\u202eecila"}
    shown = written(Outcome(stdout="", access_rights_obtained=[evil]), how)
    assert not {"\x1b", "\u202e"} & set(shown)
    assert "\\x1b[2J\\n[Active] mine" in shown
    assert len([line for line in shown.splitlines() if "Active" in line]) == 1


def test_quiet_is_quiet() -> None:
    """Nothing is printed."""
    assert written(Outcome(stdout="Done.", unique_identifier="u"), Format.QUIET) == ""
