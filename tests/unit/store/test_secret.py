"""The secret of a tenant: written, read back, and everything that is not one."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmsd.store import secret
from kmsd.store.secret import Malformed, Secret

KEY = bytes(range(32))
DOCUMENTED = (
    "eyJncm91cF9pZCI6MzE0ODQ3NTQzOTU4OTM2Mjk5OTY2ODU4MTY1NzE0MTk0MjU5NjUyLCJrZXkiOiIzZDAyNzg3YjUy"
    "ZGY5OTYzNGNkOTVmM2QxODEyNDk4YTRiZWU1Nzc1NmM5NDI0NjdhZDI5ZTYxZjFmMmM0OWViIn0="
)
SECRETS = st.builds(Secret, st.integers(0, (1 << 128) - 1), st.binary(min_size=32, max_size=32))


def encoded(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


@given(SECRETS)
def test_what_is_written_is_read(made: Secret) -> None:
    """Any number and key come back, in both layouts."""
    assert secret.read(secret.written(made)) == made
    array = list(made.group.to_bytes(16) + made.key)
    assert secret.read(encoded(json.dumps(array))) == made


def test_the_documented_secret() -> None:
    """The example of the product's document is read, and written the same way."""
    named = secret.read(DOCUMENTED)
    assert named.file_name == "314847543958936299966858165714194259652.sqlite"
    assert named.key.hex() == "3d02787b52df99634cd95f3d1812498a4bee57756c942467ad29e61f1f2c49eb"
    assert secret.written(named) == DOCUMENTED


def test_new_ones_differ() -> None:
    """A thousand fresh secrets share neither number nor key, and show no key."""
    made = [secret.new() for _ in range(1000)]
    assert len({each.group for each in made}) == len({each.key for each in made}) == 1000
    assert made[0].key.hex() not in repr(made[0])
    assert repr(made[0].key) not in repr(made[0])


def layout(group: str, key: str = f'"{KEY.hex()}"') -> str:
    return f'{{"group_id":{group},"key":{key}}}'


def test_members_may_come_in_any_order_and_with_spaces() -> None:
    """JSON is JSON."""
    text = f' {{ "key" : "{KEY.hex().upper()}" ,\n "group_id" : 7 }} '
    assert secret.read(encoded(text)) == Secret(7, KEY)


GROUPS = [
    "../etc/passwd", '"1"', '"../1"', "-1", "-0.0", str(1 << 128), "1e400", "1e2", "1.0", "true",
    "null", "NaN", "Infinity", "0x10", "٣", "[1]", '{"group_id":1}', "00", "9" * 5000, "",
]  # fmt: skip
KEYS = [
    '""', f'"{KEY.hex()[:-1]}"', f'"{KEY.hex()}0"', f'"{KEY.hex()[:-1]}g"',
    f'"{KEY.hex()[:-1]}\\n"', f'" {KEY.hex()[:-1]}"', "1", "null", "[]", f'"{"٣" * 64}"', "true",
]  # fmt: skip
ARRAYS = [
    [0] * 47, [0] * 49, [], [256] + [0] * 47, [-1] + [0] * 47, [True] + [0] * 47, [1.0] + [0] * 47,
    ["0"] + [0] * 47, [[0] * 48], [None] * 48,
]  # fmt: skip
OTHERS = [
    "", "null", "1", '"x"', "{}", "[" * 400, layout("1")[:-1] + ',"more":1}',
    f'{{"group_id":1,"group_id":2,"key":"{KEY.hex()}"}}', f'{{"group_id":1,"Key":"{KEY.hex()}"}}',
    '{"group_id":1}', layout("1") + layout("1"), "\ufeff" + layout("1"),
]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        *map(encoded, map(layout, GROUPS)),
        *(encoded(layout("1", key)) for key in KEYS),
        *(encoded(json.dumps(each)) for each in ARRAYS),
        *map(encoded, OTHERS),
        encoded(b"\xff\xfe" + layout("1").encode()),
        None,
        "",
        layout("1"),
        encoded(layout("1")) + "=",
        encoded(layout("1"))[:-1],
        " " + encoded(layout("1")),
        encoded(layout("1")) + "\n",
        encoded(layout("1")).replace("a", "-"),
        "é" * 100,
        "A" * 100_000,
    ],
)
def test_what_is_not_a_secret(text: str | None) -> None:
    """Every other text is malformed, and the error says nothing about it."""
    with pytest.raises(Malformed) as caught:
        secret.read(text)
    assert str(caught.value) == ""


@given(st.one_of(st.text(max_size=300), st.binary(max_size=300).map(encoded)))
def test_no_text_does_anything_else(text: str) -> None:
    """Any text is a secret or malformed."""
    try:
        named = secret.read(text)
    except Malformed:
        return
    assert 0 <= named.group < 1 << 128
