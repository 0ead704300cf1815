"""Random operations on the real engine and store agree with a model of thirty lines.

A failing seed replays: every choice comes from it.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_twisted

from kmsd.kmip.attributes import TAG, Attributes, with_tags
from kmsd.kmip.enums import ResultReason, RevocationReasonCode, State
from kmsd.kmip.errors import KmipError
from kmsd.kmip.structures import RevocationReason
from kmsd.operations.activate import Activate
from kmsd.operations.destroy import Destroy
from kmsd.operations.encrypt import Encrypt
from kmsd.operations.get import Get
from kmsd.operations.get_attributes import GetAttributes
from kmsd.operations.locate import Locate
from kmsd.operations.revoke import Revoke
from kmsd.ttlv.schema import dump
from tests.server import Kms, open_kms

SEEDS = 12
STEPS = 120
USERS = ("alice", "bob", "carol")
IDENTIFIERS = tuple(f"key-{number}" for number in range(6))
TAGS = ("red", "green", "blue")
GONE = {State.DESTROYED, State.DESTROYED_COMPROMISED}
COMPROMISED = {
    State.PRE_ACTIVE: State.COMPROMISED,
    State.ACTIVE: State.COMPROMISED,
    State.DEACTIVATED: State.COMPROMISED,
    State.DESTROYED: State.DESTROYED_COMPROMISED,
}


@dataclass
class Key:
    """What the model knows of a key."""

    owner: str
    state: State
    tags: frozenset[str]
    grants: dict[str, set[str]] = field(default_factory=dict)

    def allows(self, user: str, *rights: str) -> bool:
        held = self.grants.get(user, set()) | self.grants.get("*", set())
        return user == self.owner or bool(held & set(rights))


class Model:
    """The server as it should be, and the choice of what happens next."""

    def __init__(self, kms: Kms, seed: int) -> None:
        self.kms = kms
        self.random = random.Random(seed)  # noqa: S311 (a replayable choice)
        self.keys: dict[str, Key] = {}

    async def step(self) -> None:
        user, uid = self.random.choice(USERS), self.random.choice(IDENTIFIERS)
        action = self.random.choice(
            [
                *(self.create, self.activate, self.revoke, self.destroy, self.grant),
                *(self.encrypt, self.get, self.locate, self.look),
            ]
        )
        await action(self.kms.by(user), uid, self.keys.get(uid))

    async def expect(self, kms: Kms, request: object, reason: ResultReason | None) -> object:
        """Carry out a request and compare how it ends."""
        try:
            answer = await kms(request)  # type: ignore[arg-type]
        except KmipError as error:
            assert error.reason == reason, (kms.caller, request, error)  # noqa: PT017
            return None
        assert reason is None, (kms.caller, request, reason)
        return answer

    async def create(self, kms: Kms, uid: str, key: Key | None) -> None:
        active = self.random.random() < 0.7
        tags = frozenset(self.random.sample(TAGS, self.random.randrange(3)))
        dates = {} if active else {"activation_date": None}
        try:
            await kms.key(uid, tuple(tags), **dates)
        except KmipError as error:
            assert error.reason is ResultReason.OBJECT_ALREADY_EXISTS  # noqa: PT017
            assert key is not None
        else:
            assert key is None
            state = State.ACTIVE if active else State.PRE_ACTIVE
            self.keys[uid] = Key(kms.caller, state, tags | {"_kk"})

    async def activate(self, kms: Kms, uid: str, key: Key | None) -> None:
        reason = None
        if key is None or not key.allows(kms.caller, "activate"):
            reason = ResultReason.OBJECT_NOT_FOUND
        elif key.state is not State.PRE_ACTIVE:
            reason = ResultReason.WRONG_KEY_LIFECYCLE_STATE
        else:
            key.state = State.ACTIVE
        await self.expect(kms, Activate(unique_identifier=uid), reason)

    async def revoke(self, kms: Kms, uid: str, key: Key | None) -> None:
        compromise = self.random.random() < 0.3
        reason = None
        if key is None or not key.allows(kms.caller, "revoke"):
            reason = ResultReason.ITEM_NOT_FOUND
        elif compromise:
            key.state = COMPROMISED.get(key.state, key.state)
        elif key.state in {State.PRE_ACTIVE, State.ACTIVE}:
            key.state = State.DEACTIVATED
        code = (
            RevocationReasonCode.KEY_COMPROMISE
            if compromise
            else RevocationReasonCode.CESSATION_OF_OPERATION
        )
        why = RevocationReason(revocation_reason_code=code)
        await self.expect(kms, Revoke(unique_identifier=uid, revocation_reason=why), reason)

    async def destroy(self, kms: Kms, uid: str, key: Key | None) -> None:
        remove = self.random.random() < 0.3
        reason = None
        if key is None or not key.allows(kms.caller, "destroy"):
            reason = ResultReason.ITEM_NOT_FOUND
        elif key.state is State.ACTIVE:
            reason = ResultReason.WRONG_KEY_LIFECYCLE_STATE
        elif remove:
            del self.keys[uid]
        elif key.state not in GONE:
            compromised = key.state is State.COMPROMISED
            key.state = State.DESTROYED_COMPROMISED if compromised else State.DESTROYED
        await self.expect(kms, Destroy(unique_identifier=uid, remove=remove), reason)

    async def grant(self, kms: Kms, uid: str, key: Key | None) -> None:
        if key is None:
            return
        grantee = self.random.choice([*USERS, "*"])
        right = self.random.choice(["get", "encrypt", "revoke", "destroy", "activate"])
        if self.random.random() < 0.6:
            await kms.store.grant(uid, grantee, frozenset({right}))
            key.grants.setdefault(grantee, set()).add(right)
        else:
            await kms.store.ungrant(uid, grantee, frozenset({right}))
            key.grants.get(grantee, set()).discard(right)

    async def encrypt(self, kms: Kms, uid: str, key: Key | None) -> None:
        reason = None
        if key is None or not key.allows(kms.caller, "encrypt", "get"):
            reason = ResultReason.ITEM_NOT_FOUND
        elif key.state in GONE:
            reason = ResultReason.OBJECT_DESTROYED
        elif key.state is not State.ACTIVE:
            reason = ResultReason.WRONG_KEY_LIFECYCLE_STATE
        await self.expect(kms, Encrypt(unique_identifier=uid, data=b"text"), reason)

    async def get(self, kms: Kms, uid: str, key: Key | None) -> None:
        reason = None
        if key is None or not key.allows(kms.caller, "get"):
            reason = ResultReason.OBJECT_NOT_FOUND
        elif key.state in GONE:
            reason = ResultReason.OBJECT_DESTROYED
        await self.expect(kms, Get(unique_identifier=uid), reason)

    async def locate(self, kms: Kms, _uid: str, _key: Key | None) -> None:
        tag = self.random.choice([*TAGS, "_kk"])
        attributes = dump(with_tags(Attributes(), frozenset({tag})), "Attributes")
        answer = await kms(Locate(attributes=attributes))
        assert list(answer.unique_identifier) == [
            uid
            for uid, key in sorted(self.keys.items())
            if tag in key.tags
            and key.state not in GONE
            and (key.owner == kms.caller or any(map(key.grants.get, (kms.caller, "*"))))
        ], (kms.caller, TAG, tag)

    async def look(self, kms: Kms, uid: str, key: Key | None) -> None:
        reason = None
        if key is None or not key.allows(kms.caller, "get", "getattributes"):
            reason = ResultReason.OBJECT_NOT_FOUND
        answer = await self.expect(kms, GetAttributes(unique_identifier=uid), reason)
        if answer is not None and key is not None:
            assert answer.attributes.state is key.state  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest_twisted.ensureDeferred  # type: ignore[untyped-decorator]
async def test_random_operations_agree_with_the_model(tmp_path: Path, seed: int) -> None:
    """Whatever users do in whatever order, the server does what the model does."""
    kms = await open_kms(tmp_path)
    try:
        model = Model(kms, seed)
        for _ in range(STEPS):
            await model.step()
    finally:
        await kms.close()
