"""What holds for every structure there is, derived from its declaration."""

import contextlib
import importlib
import pkgutil
from types import ModuleType

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import kmsd.operations
from kmsd.kmip import attributes, json_dialects, messages, objects, structures
from kmsd.ttlv import Item, TtlvError, binary_format, json_format, xml_format
from kmsd.ttlv.json_format import Spelling
from kmsd.ttlv.schema import Structure, dump, load
from tests import strategies


def _declared_in(module: ModuleType) -> list[type[Structure]]:
    return [
        each
        for each in vars(module).values()
        if isinstance(each, type)
        and issubclass(each, Structure)
        and each.__module__ == module.__name__
    ]


MODULES = [
    attributes,
    messages,
    objects,
    structures,
    *(
        importlib.import_module(f"kmsd.operations.{found.name}")
        for found in pkgutil.iter_modules(kmsd.operations.__path__)
    ),
]
EVERY = [cls for module in MODULES for cls in _declared_in(module)]
FEW = settings(
    max_examples=10,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # these trees take minutes to shrink
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.parametrize("cls", EVERY, ids=lambda cls: cls.__name__)
def test_every_structure_survives_every_encoding(cls: type[Structure]) -> None:
    """A structure is the same after a journey through binary TTLV, both JSONs and XML."""

    @FEW
    @given(value=strategies.structures(cls))
    def check(value: Structure) -> None:
        item = dump(value, "RequestPayload")
        for journey in (_binary, _json_4, _json_5, _xml):
            assert load(cls, journey(item)) == value, journey.__name__

    check()


def _binary(item: Item) -> Item:
    try:
        return binary_format.decode(binary_format.encode(item))
    except TtlvError:  # the product's JSON has fields without a number
        return item


def _json_4(item: Item) -> Item:
    return json_format.decode(json_format.encode(item, Spelling.V4))[0]


def _json_5(item: Item) -> Item:
    return json_format.decode(json_format.encode(item, Spelling.V5))[0]


def _xml(item: Item) -> Item:
    return xml_format.decode(xml_format.encode(item))


@settings(max_examples=300, deadline=None)
@given(noise=st.binary(max_size=200))
def test_noise_raises_only_the_codecs_own_error(noise: bytes) -> None:
    """Random bytes are refused with a TtlvError, whatever they are."""
    for decode in (binary_format.decode, json_dialects.decode, xml_format.decode):
        with contextlib.suppress(TtlvError):
            decode(noise)


@settings(parent=FEW, max_examples=300)
@given(data=st.data())
def test_spoilt_messages_raise_only_the_codecs_own_error(data: st.DataObject) -> None:
    """A message with some bytes changed is read or refused, whatever its format and structure."""
    cls = data.draw(st.sampled_from(EVERY))
    item = dump(data.draw(strategies.structures(cls)), "RequestPayload")
    try:
        bodies = [
            (binary_format.encode(item), binary_format.decode),
            (json_format.encode(item, Spelling.V5), lambda body: json_dialects.decode(body)[0]),
            (json_format.encode(item, Spelling.V4), lambda body: json_dialects.decode(body)[0]),
            (xml_format.encode(item), xml_format.decode),
        ]
    except TtlvError:  # a field that only JSON has a name for
        return
    body, decode = data.draw(st.sampled_from(bodies))
    spoilt = bytearray(body)
    for at in data.draw(st.lists(st.integers(0, len(body) - 1), min_size=1, max_size=4)):
        spoilt[at] = data.draw(st.integers(0, 255))
    with contextlib.suppress(TtlvError):
        load(cls, decode(bytes(spoilt)))
