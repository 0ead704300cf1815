"""Who may grant, revoke and list, and in which shapes two generations of clients hear of it."""

# mypy: allow-untyped-decorators, allow-untyped-calls
# pytest-twisted and parts of treq have no annotations

from __future__ import annotations

import json
import socket
import struct
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.threads import deferToThread
from twisted.logger import LogLevel, capturedLogs

from kmsd.kmip.enums import ResultReason
from kmsd.kmip.errors import KmipError
from kmsd.operations import OPERATIONS
from kmsd.resources.access_request import GRANTABLE, read_access
from kmsd.store.interfaces import Remove


@pytest_twisted.ensureDeferred
async def test_a_grant_opens_a_key_and_its_revocation_closes_it(served: Any) -> None:
    uid = await served.create()
    assert (await served.get(uid, "guest")).status == 422
    assert (await served.grant(uid, "guest", "get")).json == {
        "success": "Access for guest successfully added"
    }
    assert (await served.get(uid, "guest")).status == 200
    assert (await served.revoke(uid, "guest", "get")).json == {
        "success": "Access for guest successfully deleted"
    }
    assert (await served.get(uid, "guest")).status == 422


@pytest_twisted.ensureDeferred
async def test_grants_merge_and_are_listed_in_a_fixed_order(served: Any) -> None:
    uid = await served.create()
    await served.grant(uid, "guest", "get", "encrypt")
    await served.grant(uid, "guest", "locate", "certify", "get")
    assert (await served.ask("GET", f"/access/list/{uid}")).json == [
        {"user_id": "guest", "operations": ["certify", "encrypt", "get", "locate"]}
    ]


@pytest_twisted.ensureDeferred
async def test_revoking_the_last_operation_removes_the_user_from_the_list(served: Any) -> None:
    uid = await served.create()
    await served.grant(uid, "guest", "get", "encrypt")
    await served.revoke(uid, "guest", "get")
    await served.revoke(uid, "guest", "encrypt")
    assert (await served.ask("GET", f"/access/list/{uid}")).json == []


@pytest_twisted.ensureDeferred
async def test_a_grant_to_everyone_lets_everyone_in(served: Any) -> None:
    uid = await served.create()
    await served.grant(uid, "*", "get")
    assert (await served.get(uid, "anybody")).status == 200
    [row] = (await served.ask("GET", "/access/obtained", user="anybody")).json
    assert row["operations"] == ["get"]


@pytest_twisted.ensureDeferred
async def test_only_the_owner_may_grant_revoke_and_list(served: Any) -> None:
    uid = await served.create()
    await served.grant(uid, "guest", "get")
    text = f"Access denied: Object with uid `{uid}` is not owned by owner `guest`"
    for reply in (
        await served.grant(uid, "guest", "destroy", by="guest"),
        await served.grant(uid, "other", "get", by="guest"),
        await served.revoke(uid, "guest", "get", by="guest"),
        await served.ask("GET", f"/access/list/{uid}", user="guest"),
        await served.ask("GET", f"/accesses/{uid}", user="guest"),
    ):
        assert (reply.status, reply.text) == (401, text)


@pytest_twisted.ensureDeferred
async def test_an_unknown_object_looks_like_a_foreign_one(served: Any) -> None:
    reply = await served.grant("nothing", "guest", "get")
    text = "Access denied: Object with uid `nothing` is not owned by owner `owner`"
    assert (reply.status, reply.text) == (401, text)


@pytest_twisted.ensureDeferred
async def test_nobody_grants_to_oneself(served: Any) -> None:
    uid = await served.create()
    granted = await served.grant(uid, "owner", "get")
    revoked = await served.revoke(uid, "owner", "get")
    assert (granted.status, revoked.status) == (401, 401)
    assert granted.text.startswith("Access denied: You can't grant yourself")
    assert revoked.text.startswith("Access denied: You can't revoke yourself")


@pytest_twisted.ensureDeferred
async def test_the_rights_to_everything_cannot_be_granted(served: Any) -> None:
    """`*` is where the right to create is kept; it is nobody's object."""
    assert (await served.grant("*", "guest", "get")).status == 401
    assert (await served.grant("*", "guest", "create")).status == 401


@pytest_twisted.ensureDeferred
async def test_the_wildcard_is_no_back_door_to_a_list(served: Any) -> None:
    assert (await served.ask("GET", "/access/list/*")).status == 401


@pytest_twisted.ensureDeferred
async def test_a_grant_without_an_object_is_refused(served: Any) -> None:
    body = {"user_id": "guest", "operation_types": ["get"]}
    reply = await served.ask("POST", "/access/grant", body)
    assert reply.status == 422
    assert reply.text.endswith("does not yet support place holder id")


@pytest_twisted.ensureDeferred
async def test_unknown_operations_are_refused_with_the_possible_ones(served: Any) -> None:
    uid = await served.create()
    reply = await served.grant(uid, "guest", "get", "fly")
    assert reply.status == 422
    assert reply.text.startswith("Invalid Request: unknown operation 'fly'; possible are: create,")
    assert (await served.ask("GET", f"/access/list/{uid}")).json == []


# The shapes of 4.4 and later


@pytest_twisted.ensureDeferred
async def test_owned_objects_are_listed_with_plain_attributes(served: Any) -> None:
    uid = await served.create()
    [row] = (await served.ask("GET", "/access/owned")).json
    assert set(row) == {"object_id", "state", "attributes"}
    assert (row["object_id"], row["state"]) == (uid, "PreActive")
    shown = row["attributes"]
    assert (shown["CryptographicAlgorithm"], shown["CryptographicLength"]) == ("AES", 256)
    assert shown["CryptographicUsageMask"] == 12
    assert shown["Sensitive"] is False


@pytest_twisted.ensureDeferred
async def test_obtained_objects_name_their_owner_and_rights(served: Any) -> None:
    uid = await served.create()
    await served.grant(uid, "guest", "get", "encrypt")
    assert (await served.ask("GET", "/access/obtained", user="guest")).json == [
        {
            "object_id": uid,
            "owner_id": "owner",
            "state": "PreActive",
            "operations": ["encrypt", "get"],
        }
    ]
    assert (await served.ask("GET", "/access/owned", user="guest")).json == []
    assert (await served.ask("GET", "/access/obtained")).json == []


@pytest_twisted.ensureDeferred
async def test_the_rights_of_others_are_not_shown_among_ones_own(served: Any) -> None:
    uid = await served.create()
    await served.grant(uid, "guest", "get")
    await served.grant(uid, "other", "destroy")
    [row] = (await served.ask("GET", "/access/obtained", user="guest")).json
    assert row["operations"] == ["get"]


@pytest_twisted.ensureDeferred
async def test_a_single_operation_type_is_understood(served: Any) -> None:
    """Clients up to 4.11.2 send `operation_type`."""
    uid = await served.create()
    body = {"unique_identifier": uid, "user_id": "guest", "operation_type": "get"}
    assert (await served.ask("POST", "/access/grant", body)).status == 200
    assert (await served.get(uid, "guest")).status == 200


# The shapes of 4.1 to 4.3


@pytest_twisted.ensureDeferred
async def test_the_old_routes_do_the_same_in_the_old_spelling(served: Any) -> None:
    uid = await served.create()
    body = {"unique_identifier": uid, "user_id": "guest", "operation_type": "Get"}
    added = await served.ask("POST", f"/accesses/{uid}", body)
    assert added.json == {"success": "Access for guest successfully added"}
    assert (await served.ask("GET", f"/accesses/{uid}")).json == [
        {"user_id": "guest", "operations": ["Get"]}
    ]
    deleted = await served.ask("DELETE", f"/accesses/{uid}", body)
    assert deleted.json == {"success": "Access for guest successfully deleted"}
    assert (await served.ask("GET", f"/accesses/{uid}")).json == []


@pytest_twisted.ensureDeferred
async def test_the_old_routes_act_on_the_object_in_the_body(served: Any) -> None:
    uid = await served.create()
    body = {"unique_identifier": uid, "user_id": "guest", "operation_type": "Get"}
    assert (await served.ask("POST", "/accesses/whatever", body)).status == 200
    assert (await served.get(uid, "guest")).status == 200


@pytest_twisted.ensureDeferred
async def test_the_old_lists_tell_whether_a_key_is_wrapped(served: Any) -> None:
    uid = await served.create()
    await served.grant(uid, "guest", "get", "getattributes", "rekey")
    [own] = (await served.ask("GET", "/objects/owned")).json
    [shared] = (await served.ask("GET", "/objects/shared", user="guest")).json
    assert own.pop("attributes")["CryptographicLength"] == 256
    assert own == {"object_id": uid, "state": "PreActive", "is_wrapped": False}
    assert shared == {
        "object_id": uid,
        "owner_id": "owner",
        "state": "PreActive",
        "operations": ["Get", "GetAttributes", "Rekey"],
        "is_wrapped": False,
    }


# Long lists


@pytest_twisted.ensureDeferred
async def test_a_part_of_a_list_can_be_asked_for(served: Any) -> None:
    uids = sorted([await served.create() for _ in range(5)])
    for query, expected in {
        "?limit=2": uids[:2],
        "?limit=2&offset=3": uids[3:],
        "?offset=4": uids[4:],
        "?limit=0": [],
        "?offset=9": [],
        "": uids,
    }.items():
        rows = (await served.ask("GET", f"/access/owned{query}")).json
        assert [row["object_id"] for row in rows] == expected, query


@pytest.mark.parametrize("query", ["limit=x", "limit=-1", "offset=1.5", "limit=9999999999"])
@pytest_twisted.ensureDeferred
async def test_limits_that_are_no_numbers_are_refused(served: Any, query: str) -> None:
    reply = await served.ask("GET", f"/access/owned?{query}")
    assert reply.status == 422
    assert reply.text.startswith("Invalid Request: ")


@pytest_twisted.ensureDeferred
async def test_a_list_of_several_pages_arrives_whole(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kmsd.resources.listing.PAGE", 3)
    for count in (2, 3, 4, 6, 7):
        while len((await served.ask("GET", "/access/owned")).json) < count:
            await served.create()
        uids = [row["object_id"] for row in (await served.ask("GET", "/access/owned")).json]
        assert len(set(uids)) == count
        assert uids == sorted(uids)
    part = (await served.ask("GET", "/access/owned?limit=5&offset=1")).json
    assert [row["object_id"] for row in part] == uids[1:6]


@pytest_twisted.ensureDeferred
async def test_a_client_that_leaves_in_the_middle_of_a_list_is_no_trouble(
    served: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kmsd.resources.listing.PAGE", 1)
    for _ in range(20):
        await served.create()

    def leave() -> None:
        with socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2]))) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.sendall(
                b"GET /access/owned HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer owner\r\n\r\n"
            )
            assert sock.recv(10) == b"HTTP/1.1 2"

    with capturedLogs() as logs:
        await deferToThread(leave)
        await served.site.resource.in_flight.when_idle()
        assert len((await served.ask("GET", "/access/owned")).json) == 20
    assert [event for event in logs if event["log_level"] >= LogLevel.warn] == []


# What may happen in between


@pytest_twisted.ensureDeferred
async def test_an_object_that_goes_while_it_is_granted_looks_foreign(served: Any) -> None:
    uid = await served.create()
    store = served.store
    found = store.get

    async def get_and_remove(unique_identifier: str) -> Any:
        record = await found(unique_identifier)
        await store.write(Remove(unique_identifier, record.version))
        return record

    store.get = get_and_remove
    reply = await served.grant(uid, "guest", "get")
    assert (reply.status, reply.text) == (
        401,
        f"Access denied: Object with uid `{uid}` is not owned by owner `owner`",
    )


# The right to create


@pytest_twisted.ensureDeferred
async def test_without_privileged_users_everybody_may_create(served: Any) -> None:
    assert (await served.ask("GET", "/access/create")).json == {"has_create_permission": True}
    assert (await served.ask("GET", "/access/privileged")).json == {"has_privileged_access": False}


@pytest_twisted.ensureDeferred
async def test_privileged_users_say_who_may_create(privileged: Any) -> None:
    async def may_create(user: str) -> bool:
        return bool((await privileged.ask("GET", "/access/create", user=user)).json.popitem()[1])

    assert await may_create("root")
    assert not await may_create("guest")
    assert (await privileged.grant("*", "guest", "create", by="root")).status == 200
    assert await may_create("guest")
    assert (await privileged.revoke("*", "guest", "create", by="root")).status == 200
    assert not await may_create("guest")
    assert (await privileged.grant("*", "*", "create", by="root")).status == 200
    assert await may_create("guest")


@pytest_twisted.ensureDeferred
async def test_privileged_users_are_told_that_they_are(privileged: Any) -> None:
    for user, expected in {"root": True, "guest": False}.items():
        reply = await privileged.ask("GET", "/access/privileged", user=user)
        assert reply.json == {"has_privileged_access": expected}


@pytest_twisted.ensureDeferred
async def test_others_cannot_give_away_the_right_to_create(privileged: Any) -> None:
    """Not even those who were given it, and not for an object of their own either."""
    await privileged.grant("*", "guest", "create", by="root")
    uid = await privileged.create("guest")
    for named in ("*", uid):
        reply = await privileged.grant(named, "other", "create", by="guest")
        assert reply.status == 401
    assert (await privileged.grant("*", "root", "create", by="toor")).status == 401
    assert (await privileged.grant("*", "root", "create", by="root")).status == 401


@pytest_twisted.ensureDeferred
async def test_create_and_an_object_in_one_grant_need_both_rights(privileged: Any) -> None:
    """Nothing is written unless all of it is permitted."""
    await privileged.grant("*", "guest", "create", by="root")
    uid = await privileged.create("guest")
    reply = await privileged.grant(uid, "other", "create", "get", by="root")
    assert reply.status == 401
    create = await privileged.ask("GET", "/access/create", user="other")
    assert create.json == {"has_create_permission": False}
    own = await privileged.create("root")
    assert (await privileged.grant(own, "other", "create", "get", by="root")).status == 200
    assert (await privileged.get(own, "other")).status == 200


# What a request may look like


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"user_id": 5, "operation_types": ["get"], "unique_identifier": "x"}',
        b'{"user_id": "", "operation_types": ["get"], "unique_identifier": "x"}',
        b'{"user_id": "a\\u0000b", "operation_types": ["get"], "unique_identifier": "x"}',
        b'{"user_id": "%s", "operation_types": ["get"], "unique_identifier": "x"}' % (b"u" * 256),
        b'{"user_id": "u", "operation_types": [], "unique_identifier": "x"}',
        b'{"user_id": "u", "unique_identifier": "x"}',
        b'{"user_id": "u", "operation_types": "get", "unique_identifier": "x"}',
        b'{"user_id": "u", "operation_types": ["get"], "unique_identifier": ["x"]}',
        b'{"user_id": "\xff", "operation_types": ["get"], "unique_identifier": "x"}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_access_request_is_refused(body: bytes) -> None:
    with pytest.raises(KmipError) as refused:
        read_access(body)
    assert refused.value.reason is ResultReason.INVALID_MESSAGE


def test_numbers_identify_objects_as_well() -> None:
    access = read_access(b'{"user_id": "u", "operation_types": ["get"], "unique_identifier": 7}')
    assert access.unique_identifier == "7"


def test_case_does_not_count_in_operations() -> None:
    body = {"user_id": "u", "unique_identifier": "x", "operation_types": ["GetAttributes", "get"]}
    access = read_access(json.dumps(body).encode())
    assert access.operations == {"getattributes", "get"}


def test_whatever_an_operation_asks_for_can_be_granted() -> None:
    asked = {name for row in OPERATIONS if row.target for name in row.target.permit}
    assert asked <= GRANTABLE.keys()


@pytest_twisted.ensureDeferred
async def test_every_change_of_rights_leaves_one_audit_event(served: Any) -> None:
    uid = await served.create()
    with capturedLogs() as logs:
        await served.grant(uid, "guest", "get", "encrypt")
        await served.revoke(uid, "guest", "get")
        await served.grant(uid, "other", "get", by="guest")
    events = [event for event in logs if event["log_namespace"] == "kmsd.audit"]
    told = [
        (
            event["caller"],
            event["operation"],
            event["grantee"],
            event["granted"],
            event["result_reason"],
        )
        for event in events
    ]
    assert told == [
        ("owner", "GrantAccess", "guest", "encrypt,get", ""),
        ("owner", "RevokeAccess", "guest", "get", ""),
        ("guest", "GrantAccess", "other", "get", "Permission_Denied"),
    ]
    assert {event["unique_identifier"] for event in events} == {uid}
    assert {event["address"] for event in events} == {"127.0.0.1"}


@pytest_twisted.ensureDeferred
async def test_a_database_that_fails_is_audited_as_well(served: Any) -> None:
    await served.store.close()
    with capturedLogs() as logs:
        reply = await served.grant("x", "guest", "get")
    assert reply.status in {500, 503}
    [event] = [event for event in logs if event["log_namespace"] == "kmsd.audit"]
    assert event["result_reason"] == "General_Failure"


def test_grants_are_stored_in_lower_case() -> None:
    assert all(name.islower() for name in GRANTABLE)
