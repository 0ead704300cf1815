"""What every store promises, on each of the four databases."""

import msgspec
import pytest
from twisted.internet.defer import CancelledError, Deferred, gatherResults

from kmsd.kmip import structures
from kmsd.kmip.attributes import Attributes, labels
from kmsd.kmip.enums import CryptographicAlgorithm, LinkType, ObjectType, State
from kmsd.kmip.states import effective_state
from kmsd.store.interfaces import (
    EVERYONE,
    Insert,
    NoSuchObject,
    NotStorable,
    ObjectExists,
    Query,
    Range,
    Record,
    Remove,
    Replace,
    StaleRecord,
    StoreUnavailable,
)
from kmsd.store.rows import OBJECT_BYTES
from kmsd.store.sql import SqlStore
from tests.reactor import ensureDeferred
from tests.records import changed, key, record

GET = frozenset({"get"})

# Whatever a client may call an object, a tag or itself.
TEXTS = [
    "plain",
    "Robert'); DROP TABLE objects;--",
    'quote " and \\ backslash and `',
    "100%_of %s {} ?",
    "space at the end ",
    "emoji 🔑 and עברית",
    "e\u0301 is not \u00e9",
    "new\nline\tand \x01",
    "*",
    "NULL",
    "0",
    "sha256:0",
]


async def find(store: SqlStore, **query: object) -> list[str]:
    found = await store.find(Query(**query))  # type: ignore[arg-type]
    assert found.total == len(found.unique_identifiers)
    return list(found.unique_identifiers)


@ensureDeferred
async def test_what_is_written_is_read(store: SqlStore) -> None:
    """An object comes back as it was stored, as version 1; one never stored is None."""
    new = record("a", tags=("t",), names=("n",), destroy_date=-5)
    await store.write(Insert(new))
    assert await store.get("a") == msgspec.structs.replace(new, version=1)
    assert await store.get("b") is None


@ensureDeferred
async def test_an_object_without_material_is_kept(store: SqlStore) -> None:
    """A destroyed object's attributes stay."""
    await store.write(Insert(record("a")))
    found = await store.get("a")
    assert found
    await store.write(Replace(msgspec.structs.replace(found, managed_object=None)))
    gone = await store.get("a")
    assert gone
    assert (gone.managed_object, gone.version) == (None, 2)


@ensureDeferred
async def test_an_identifier_is_taken_once(store: SqlStore) -> None:
    """A second Insert fails, whoever makes it, and changes nothing."""
    await store.write(Insert(record("a")))
    with pytest.raises(ObjectExists):
        await store.write(Insert(record("a", "mallory")))
    found = await store.get("a")
    assert found
    assert found.owner == "alice"


@ensureDeferred
async def test_a_write_is_all_or_nothing(store: SqlStore) -> None:
    """When the last change of several fails, the first are not done either."""
    await store.write(Insert(record("a")))
    with pytest.raises(ObjectExists):
        await store.write(Insert(record("b", tags=("t",))), Insert(record("a")))
    with pytest.raises(StaleRecord):
        await store.write(Insert(record("c")), Remove("a", 7))
    assert list(await store.get_many(["a", "b", "c"])) == ["a"]
    assert await find(store, labels=(("tag", "t"),)) == []


@ensureDeferred
async def test_a_stale_record_is_refused(store: SqlStore) -> None:
    """Of two changes that start from one version the second fails and is not done."""
    await store.write(Insert(record("a")))
    found = await store.get("a")
    assert found
    await store.write(Replace(changed(found, comment="first")))
    with pytest.raises(StaleRecord):
        await store.write(Replace(changed(found, comment="second")))
    with pytest.raises(StaleRecord):
        await store.write(Remove("a", 1))
    now = await store.get("a")
    assert now
    assert (now.attributes.comment, now.version) == ("first", 2)


@ensureDeferred
async def test_changing_what_does_not_exist_is_refused(store: SqlStore) -> None:
    """Replace and Remove of an unknown object fail."""
    for change in (Replace(record("x")), Remove("x", 0)):
        with pytest.raises(StaleRecord):
            await store.write(change)


@ensureDeferred
async def test_writing_nothing_is_allowed(store: SqlStore) -> None:
    """A write without changes does nothing, and so does a read of nothing."""
    await store.write()
    assert await store.get_many([]) == {}


@ensureDeferred
async def test_a_removed_object_leaves_nothing(store: SqlStore) -> None:
    """Labels, grants and counters go with an object; its identifier is free again, and bare."""
    await store.write(Insert(record("a", tags=("t",))))
    await store.grant("a", "bob", GET)
    await store.reserve("a", "uses", 5)
    await store.write(Remove("a", 1))
    assert await store.get("a") is None
    assert await find(store, labels=(("tag", "t"),)) == []
    await store.write(Insert(record("a", "carol")))
    found = await store.get("a")
    assert found
    assert (found.grants, await store.reserve("a", "uses", 1)) == ({}, 0)


@ensureDeferred
async def test_an_object_can_be_replaced_by_another_at_once(store: SqlStore) -> None:
    """Remove and Insert of one identifier in one write give a new object of version 1."""
    await store.write(Insert(record("a", tags=("old",))))
    await store.write(Remove("a", 1), Insert(record("a", tags=("new",))))
    found = await store.get("a")
    assert found
    assert found.version == 1
    assert await find(store, labels=(("tag", "old"),)) == []
    assert await find(store, labels=(("tag", "new"),)) == ["a"]


@ensureDeferred
async def test_texts_are_values_and_nothing_else(store: SqlStore) -> None:
    """Any text is an identifier, owner, tag, name or grantee that is equal to itself only."""
    for number, text in enumerate(TEXTS):
        await store.write(Insert(record(text, f"{text}", tags=(text,), names=(text,))))
        await store.grant(text, f"{text} {number}", GET)
    for number, text in enumerate(TEXTS):
        found = await store.get(text)
        assert found
        assert (found.unique_identifier, found.owner) == (text, text)
        assert found.grants == {f"{text} {number}": GET}
        assert await find(store, labels=(("tag", text),)) == [text]
        assert await find(store, labels=(("Name.NameValue", text),)) == [text]
        assert await find(store, accessible_to=f"{text} {number}") == [text]
        assert [each.unique_identifier for each in await store.owned(text, 9)] == [text]
        for other in (text.upper(), text.strip(), text + " ", text + "\0"):
            if other not in TEXTS:
                assert await store.get(other) is None
                assert await find(store, labels=(("tag", other),)) == []
                assert await store.owned(other, 9) == []


@ensureDeferred
async def test_order_is_by_code_point(store: SqlStore) -> None:
    """Identifiers sort the same way on every database."""
    for text in sorted(TEXTS, key=len):
        await store.write(Insert(record(text)))
    expected = sorted(TEXTS, key=str.encode)
    assert await find(store) == expected
    assert await find(store, accessible_to="alice") == expected
    assert [each.unique_identifier for each in await store.owned("alice", 99)] == expected
    assert [each.unique_identifier for each in await store.scan("", 99)] == expected


@ensureDeferred
async def test_long_texts_are_found_by_equality(store: SqlStore) -> None:
    """A tag longer than the column, or one that looks like its hash, is found by its whole text."""
    long = "x" * 256
    hashed = "sha256:" + "0" * 64
    await store.write(
        Insert(record("a", tags=(long,))),
        Insert(record("b", tags=("x" * 255,))),
        Insert(record("c", tags=(hashed, "y" * 1_000_000))),
    )
    assert await find(store, labels=(("tag", long),)) == ["a"]
    assert await find(store, labels=(("tag", long[:-1]),)) == ["b"]
    assert await find(store, labels=(("tag", hashed), ("tag", "y" * 1_000_000))) == ["c"]
    assert await find(store, labels=(("tag", "x" * 257),)) == []


@ensureDeferred
async def test_what_cannot_be_kept_is_refused(store: SqlStore) -> None:
    """Identifiers and owners beyond the columns, and huge objects, are refused with a reason."""
    refused = [
        record("x" * 129),
        record(""),
        record("nul\0"),
        record("\ud800"),
        record("a", "o" * 256),
        record("a", managed_object=key(b"k" * (OBJECT_BYTES + 1))),
    ]
    for each in refused:
        with pytest.raises(NotStorable):
            await store.write(Insert(each))
    with pytest.raises(NotStorable):
        await store.reserve("", "uses", 1)
    assert await find(store) == []
    await store.write(Insert(record("é" * 64, "ö" * 127)))
    assert await store.get("é" * 64)


@ensureDeferred
async def test_asking_for_what_cannot_exist_finds_nothing(store: SqlStore) -> None:
    """Impossible identifiers and names are unknown, not errors."""
    for text in ("", "nul\0", "\ud800", "x" * 1_000_000):
        assert await store.get(text) is None
        assert await store.grants(text) == {}
        assert await store.owned(text, 9) == []
        assert await store.obtained(text, 9) == []
        assert await find(store, accessible_to=text) == []
        await store.ungrant(text, "bob", GET)
        with pytest.raises(NoSuchObject):
            await store.grant(text, "bob", GET)
    with pytest.raises(NotStorable):
        await store.grant("a", "", GET)


@ensureDeferred
async def test_large_objects_of_one_moment(store: SqlStore) -> None:
    """The largest objects are kept, even of zeros, which some drivers double, and many at once."""
    largest = key(b"\0" * (OBJECT_BYTES - 1000))
    writes = [store.write(Insert(record(f"{n}", managed_object=largest))) for n in range(6)]
    await gatherResults([Deferred.fromCoroutine(each) for each in writes])
    found = await store.get("3")
    assert found
    assert found.managed_object == largest


@ensureDeferred
async def test_a_large_object_is_kept(store: SqlStore) -> None:
    """Seven MiB of material come back unchanged."""
    large = key(bytes(range(256)) * 4 * 7 * 1024)
    await store.write(Insert(record("a", managed_object=large)))
    found = await store.get("a")
    assert found
    assert found.managed_object == large


# Rights


@ensureDeferred
async def test_grants_add_up_and_are_taken_back(store: SqlStore) -> None:
    """Granting merges, taking back leaves the rest, and both are seen with the object."""
    await store.write(Insert(record("a")))
    await store.grant("a", "bob", GET)
    await store.grant("a", "bob", frozenset({"get", "encrypt"}))
    await store.grant("a", EVERYONE, frozenset({"decrypt"}))
    found = await store.get("a")
    assert found
    assert found.grants == {"bob": frozenset({"get", "encrypt"}), "*": frozenset({"decrypt"})}
    await store.ungrant("a", "bob", frozenset({"get", "destroy"}))
    await store.ungrant("a", "nobody", GET)
    assert await store.grants("a") == {"bob": frozenset({"encrypt"}), "*": frozenset({"decrypt"})}
    found = await store.get("a")
    assert found
    assert (found.version, found.grants["bob"]) == (1, frozenset({"encrypt"}))


@ensureDeferred
async def test_rights_on_nothing_are_refused(store: SqlStore) -> None:
    """Only an object, or "*" in general, can have grants: they must not wait for a later object."""
    with pytest.raises(NoSuchObject):
        await store.grant("later", "bob", GET)
    await store.grant(EVERYONE, "bob", frozenset({"create"}))
    assert await store.grants(EVERYONE) == {"bob": frozenset({"create"})}
    assert await store.grants("later") == {}


@ensureDeferred
async def test_owned_and_obtained(store: SqlStore) -> None:
    """Lists show one's own objects, and what others granted to one or to everyone, in pages."""
    for uid in "edcba":
        await store.write(Insert(record(uid)))
    await store.write(Insert(record("z", "bob")))
    await store.grant("d", "bob", frozenset({"get", "encrypt"}))
    await store.grant("b", EVERYONE, GET)
    await store.grant("z", EVERYONE, GET)
    await store.grant(EVERYONE, "bob", frozenset({"create"}))

    def names(records: list[Record]) -> str:
        return "".join(each.unique_identifier for each in records)

    assert names(await store.owned("alice", 10)) == "abcde"
    assert names(await store.owned("alice", 2, 1)) == "bc"
    assert names(await store.obtained("bob", 10)) == "bd"
    assert names(await store.obtained("bob", 1, 1)) == "d"
    assert names(await store.obtained("alice", 10)) == "z"
    assert names(await store.scan("b", 2)) == "cd"
    (found,) = await store.obtained("bob", 1, 1)
    assert found.grants == {"bob": frozenset({"get", "encrypt"})}


# Locate


@ensureDeferred
async def test_find_sees_what_the_caller_may_see(store: SqlStore) -> None:
    """A caller finds own objects and those granted to it or to everyone, each once."""
    await store.write(*(Insert(record(uid, tags=("t",))) for uid in "abc"))
    await store.write(Insert(record("d", "bob", tags=("t",))))
    await store.grant("a", "bob", frozenset({"get", "encrypt"}))
    await store.grant("b", EVERYONE, GET)
    await store.grant("d", "bob", GET)
    await store.grant("d", EVERYONE, GET)
    tag = (("tag", "t"),)
    for query in ({}, {"labels": tag}, {"cryptographic_length": 256}):
        assert await find(store, accessible_to="bob", **query) == ["a", "b", "d"]
        assert await find(store, accessible_to="alice", **query) == ["a", "b", "c", "d"]
        assert await find(store, accessible_to="carol", **query) == ["b", "d"]
        assert await find(store, **query) == ["a", "b", "c", "d"]


@ensureDeferred
async def test_find_joins_all_conditions(store: SqlStore) -> None:
    """Only what meets every condition is found."""
    rsa = CryptographicAlgorithm.RSA
    await store.write(
        Insert(record("a", tags=("x", "y"))),
        Insert(record("b", tags=("x",), cryptographic_length=128)),
        Insert(record("c", tags=("x", "y"), object_type=ObjectType.SECRET_DATA)),
        Insert(record("d", tags=("y",), cryptographic_algorithm=rsa, names=("n",))),
    )
    x, y, n = ("tag", "x"), ("tag", "y"), ("Name.NameValue", "n")
    for who in ({}, {"accessible_to": "alice"}):
        assert await find(store, labels=(x,), **who) == ["a", "b", "c"]
        assert await find(store, labels=(x, y), **who) == ["a", "c"]
        assert await find(store, labels=(x, x), **who) == ["a", "b", "c"]
        assert await find(store, labels=(y, n), cryptographic_algorithm=rsa, **who) == ["d"]
        assert await find(store, labels=(x, n), **who) == []
        assert await find(store, labels=(x,), cryptographic_length=128, **who) == ["b"]
        assert await find(store, object_type=ObjectType.SECRET_DATA, **who) == ["c"]
        assert await find(store, object_type=ObjectType.CERTIFICATE, **who) == []


@ensureDeferred
async def test_labels_follow_the_attributes(store: SqlStore) -> None:
    """A replaced object is found by its new labels only, the unchanged ones among them."""
    await store.write(Insert(record("a", tags=("t",), names=("old", "both"))))
    found = await store.get("a")
    assert found
    new = record("a", tags=("t",), names=("new", "both"))
    await store.write(Replace(msgspec.structs.replace(found, attributes=new.attributes)))
    for text, expected in (("old", []), ("new", ["a"]), ("both", ["a"])):
        assert await find(store, labels=(("Name.NameValue", text),)) == expected
    assert await find(store, labels=(("tag", "t"),)) == ["a"]


@ensureDeferred
async def test_every_label_of_an_object_finds_it(store: SqlStore) -> None:
    """Whatever `labels` says of an object's attributes leads to it."""
    link = structures.Link(link_type=LinkType.PUBLIC_KEY_LINK, linked_object_identifier="other")
    new = record(
        "a",
        tags=("t",),
        names=("n",),
        link=(link,),
        object_group=("g", "g2"),
        contact_information="me",
        opaque_data_type=None,
    )
    await store.write(Insert(new), Insert(record("b")))
    made = labels(new.attributes)
    assert len(made) > 6
    for label in made:
        assert await find(store, labels=((label.name, label.value),)) == ["a"]


@ensureDeferred
async def test_states_are_those_of_the_moment(store: SqlStore) -> None:
    """The SQL of states agrees with `effective_state` for every state and date."""
    dates = (None, 10, 20)
    for state in (None, *State):
        for activation in dates:
            for deactivation in dates:
                uid = f"{state or 0:d}-{activation}-{deactivation}"
                new = record(
                    uid, state=state, activation_date=activation, deactivation_date=deactivation
                )
                await store.write(Insert(new))
    everything = await store.scan("", 999)
    for now in (5, 10, 15, 20, 25):
        for states in ({state} for state in State):
            expected = [
                each.unique_identifier
                for each in everything
                if effective_state(each.attributes, now) in states
            ]
            for who in ({}, {"accessible_to": "alice"}):
                assert await find(store, states=frozenset(states), now=now, **who) == expected
    several = frozenset({State.ACTIVE, State.PRE_ACTIVE, State.DEACTIVATED, State.COMPROMISED})
    live = [each for each in everything if effective_state(each.attributes, 15) in several]
    assert len(await find(store, states=several, now=15)) == len(live)


@ensureDeferred
async def test_ranges_of_dates_and_numbers(store: SqlStore) -> None:
    """A range finds dates and integers between its ends, both included, an open end everything."""
    for number in range(5):
        new = record(
            f"{number}",
            activation_date=number * 10,
            initial_date=None if number == 4 else number,
            cryptographic_length=128 * number,
            key_format_type=number + 1,
        )
        await store.write(Insert(new))
    cases = [
        (Range("ActivationDate", 10, 30), "123"),
        (Range("activation_date", 10, 10), "1"),
        (Range("Activation Date", None, 10), "01"),
        (Range("ActivationDate", 35, None), "4"),
        (Range("InitialDate"), "0123"),
        (Range("CryptographicLength", 256, 384), "23"),
        (Range("KeyFormatType", 2, 3), "12"),
        (Range("KeyFormatType", 9, 9), ""),
    ]
    for each, expected in cases:
        for who in ({}, {"accessible_to": "alice"}):
            assert "".join(await find(store, ranges=(each,), **who)) == expected
    both = (Range("KeyFormatType", 2, 4), Range("ActivationDate", 0, 20))
    assert "".join(await find(store, ranges=both)) == "12"


@ensureDeferred
async def test_pages_of_a_find(store: SqlStore) -> None:
    """Pages are in order, do not overlap, and tell how many there are in all."""
    await store.write(*(Insert(record(f"{n:02}", tags=("t",))) for n in range(10)))
    for query in (Query(), Query(accessible_to="alice"), Query(labels=(("tag", "t"),))):
        for offset, expected in ((0, "00 01 02 03"), (8, "08 09"), (20, "")):
            page = msgspec.structs.replace(query, limit=4, offset=offset)
            found = await store.find(page)
            assert (" ".join(found.unique_identifiers), found.total) == (expected, 10)


@ensureDeferred
async def test_common_and_rare_labels_together(store: SqlStore) -> None:
    """A label of more objects than the search counts is as good a condition as a rare one."""
    for start in range(0, 1200, 400):
        await store.write(
            *(
                Insert(record(f"{n:05}", tags=("common", "rare") if n % 400 == 7 else ("common",)))
                for n in range(start, start + 400)
            )
        )
    expected = ["00007", "00407", "00807"]
    both = (("tag", "common"), ("tag", "rare"))
    for who in ({}, {"accessible_to": "alice"}):
        assert await find(store, labels=both, **who) == expected
        assert len(await find(store, labels=both[:1], cryptographic_length=256, **who)) == 1200
        assert await find(store, labels=both[:1], cryptographic_length=128, **who) == []


# Counters, concurrency, cancellation


@ensureDeferred
async def test_a_counter_hands_out_each_number_once(store: SqlStore) -> None:
    """A hundred concurrent reservations do not overlap; counters are apart."""
    await gatherResults([Deferred.fromCoroutine(store.reserve("a", "u", 0)) for _ in range(3)])
    counts = [Deferred.fromCoroutine(store.reserve("a", "u", 3)) for _ in range(100)]
    assert sorted(await gatherResults(counts)) == list(range(0, 300, 3))
    assert await store.reserve("a", "other", 1) == 0
    assert await store.reserve("a", "u", -300) == 300
    assert await store.reserve("a", "u", 0) == 0


@ensureDeferred
async def test_no_concurrent_change_is_lost(store: SqlStore) -> None:
    """Ten writers that each add ten marks to one object leave a hundred marks."""
    await store.write(Insert(record("a")))

    async def writer(number: int) -> None:
        for step in range(10):
            while True:
                found = await store.get("a")
                assert found
                groups = (*found.attributes.object_group, f"{number}-{step}")
                try:
                    await store.write(Replace(changed(found, object_group=groups)))
                    break
                except StaleRecord:
                    continue

    await gatherResults([Deferred.fromCoroutine(writer(number)) for number in range(10)])
    found = await store.get("a")
    assert found
    assert len(set(found.attributes.object_group)) == 100
    assert found.version == 101


@ensureDeferred
async def test_writers_in_one_group_fail_alone(store: SqlStore) -> None:
    """Of writes at the same moment those that conflict fail and all others are done."""
    await store.write(Insert(record("taken")))
    writes = [
        Deferred.fromCoroutine(
            store.write(Insert(record(f"{n}")), Insert(record("taken" if n % 3 == 0 else f"{n}+")))
        ).addErrback(lambda failure: failure.trap(ObjectExists))
        for n in range(60)
    ]
    results = await gatherResults(writes)
    assert [result is ObjectExists for result in results] == [n % 3 == 0 for n in range(60)]
    found = await store.get_many([f"{n}" for n in range(60)])
    assert len(found) == 40


@ensureDeferred
async def test_grants_of_one_moment_are_all_kept(store: SqlStore) -> None:
    """Concurrent grants of the same rights to the same people merge."""
    await store.write(Insert(record("a")))
    names = [f"user {n % 7}" for n in range(50)]
    await gatherResults([Deferred.fromCoroutine(store.grant("a", name, GET)) for name in names])
    assert await store.grants("a") == dict.fromkeys(set(names), GET)


@ensureDeferred
async def test_a_cancelled_write_still_happens(store: SqlStore) -> None:
    """Whoever stops waiting for a write does not stop the write."""
    waiting = Deferred.fromCoroutine(store.write(Insert(record("a"))))
    waiting.cancel()
    with pytest.raises(CancelledError):
        await waiting
    while not await store.get("a"):
        pass


@ensureDeferred
async def test_many_objects_are_read_at_once(store: SqlStore) -> None:
    """A read of more identifiers than a statement can hold finds them all."""
    names = [f"{n}" for n in range(1100)]
    for start in range(0, 1100, 300):
        await store.write(*(Insert(record(name)) for name in names[start : start + 300]))
    assert sorted(await store.get_many([*names, "absent"])) == sorted(names)


@ensureDeferred
async def test_a_closed_store_says_so(store: SqlStore) -> None:
    """After `close` work is refused; `rest` before it only lets the connections go."""
    await store.write(Insert(record("a")))
    store.rest()
    assert await store.get("a")
    await store.ping()
    await store.close()
    with pytest.raises(StoreUnavailable):
        await store.get("a")


@ensureDeferred
async def test_attributes_may_be_empty(store: SqlStore) -> None:
    """An object without any attribute is kept."""
    bare = Record(unique_identifier="a", owner="o", attributes=Attributes())
    await store.write(Insert(bare))
    assert await store.get("a") == msgspec.structs.replace(bare, version=1)
