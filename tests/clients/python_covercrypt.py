"""Covercrypt keys, as the published Python client handles them.

Each function is one behaviour and one test; its docstring is what must hold.
"""

from __future__ import annotations

import importlib
import uuid
from typing import Any

from tests.clients.driving import Behaviour, Session, drive, refused, table

FIN, MKG = "Department::FIN", "Department::MKG"
LOW, HIGH = "Security Level::Protected", "Security Level::Top Secret"


def _policy() -> bytes:
    engine = importlib.import_module("cloudproof_cover_crypt")
    policy = engine.Policy()
    levels = [("Protected", False), ("Confidential", False), ("Top Secret", True)]
    policy.add_axis(engine.PolicyAxis("Security Level", levels, True))
    departments = [("FIN", False), ("MKG", False), ("HR", False)]
    policy.add_axis(engine.PolicyAxis("Department", departments, False))
    return bytes(policy.to_bytes())


class _Masters:
    """A master key pair and what one does with it."""

    def __init__(self, session: Session, public: str, private: str) -> None:
        self.client = session.client
        self.public, self.private = public, private

    async def user(self, access: str, **options: Any) -> str:
        create = self.client.create_cover_crypt_user_decryption_key
        key: str = await create(access, self.private, False, **options)
        return key

    async def sealed(self, data: bytes, access: str, **options: Any) -> bytes:
        encrypt = self.client.cover_crypt_encryption
        return bytes(await encrypt(access, data, self.public, **options))

    async def opened(self, user: str | list[str], sealed: bytes, **options: Any) -> bytes:
        plaintext, _ = await self.client.cover_crypt_decryption(sealed, user, **options)
        return bytes(plaintext)


async def _masters(session: Session, **options: Any) -> _Masters:
    create = session.client.create_cover_crypt_master_key_pair
    public, private = await create(_policy(), False, **options)
    return _Masters(session, public, private)


async def creates_master_keys(session: Session) -> None:
    """The master keys are a public and a private key that can be got."""
    masters = await _masters(session)
    for key, kind in ((masters.public, "PublicKey"), (masters.private, "PrivateKey")):
        got = await session.client.get_object(key)
        assert got.object_type() == kind
        assert len(got.key_block()) > 100


async def opens_what_the_access_policy_grants(session: Session) -> None:
    """A user key opens what its access policy grants, a higher level the lower ones."""
    masters = await _masters(session)
    user = await masters.user(f"{MKG} && {HIGH}")
    for access in (f"{MKG} && {HIGH}", f"{MKG} && {LOW}"):
        assert await masters.opened(user, await masters.sealed(b"plan", access)) == b"plan"


async def refuses_what_the_access_policy_denies(session: Session) -> None:
    """A user key opens no other department's data, and no higher level's."""
    masters = await _masters(session)
    user = await masters.user(f"{MKG} && {LOW}")
    for access in (f"{FIN} && {LOW}", f"{MKG} && {HIGH}"):
        sealed = await masters.sealed(b"plan", access)
        await refused(session.client.cover_crypt_decryption(sealed, user))


async def keeps_metadata_and_authenticates_data(session: Session) -> None:
    """Header metadata comes back; without the authenticated data Decrypt refuses."""
    masters = await _masters(session)
    user = await masters.user(f"{MKG} && {LOW}")
    access, decrypt = f"{MKG} && {LOW}", session.client.cover_crypt_decryption
    sealed = await masters.sealed(
        b"plan", access, header_metadata=b"page 1", authentication_data=b"who"
    )
    plaintext, metadata = await decrypt(sealed, user, authentication_data=b"who")
    assert (bytes(plaintext), bytes(metadata)) == (b"plan", b"page 1")
    await refused(decrypt(sealed, user))
    await refused(decrypt(sealed, user, authentication_data=b"you"))


async def encrypts_without_data(session: Session) -> None:
    """The empty message can be encrypted and opened."""
    masters = await _masters(session)
    user = await masters.user(f"{MKG} && {LOW}")
    assert await masters.opened(user, await masters.sealed(b"", f"{MKG} && {LOW}")) == b""


async def finds_keys_by_tags(session: Session) -> None:
    """Tags, and the system tag of the kind, name public, private and user key."""
    tag, user_tag = f"masters {uuid.uuid4()}", f"user {uuid.uuid4()}"
    masters = await _masters(session, tags=[tag])
    user = await masters.user(f"{MKG} && {LOW}", tags=[user_tag])
    by_tags = _Masters(session, [tag, "_pk"], [tag, "_sk"])  # type: ignore[arg-type]
    sealed = await by_tags.sealed(b"plan", f"{MKG} && {LOW}")
    assert await masters.opened([user_tag, "_uk"], sealed) == b"plan"
    assert await masters.opened(user, sealed) == b"plan"


async def refuses_nonsense_policies(session: Session) -> None:
    """An attribute that the policy does not know is refused, in keys and in messages."""
    masters = await _masters(session)
    await refused(masters.user("Department::Nobody && Security Level::Protected"))
    await refused(masters.sealed(b"plan", "Department::Nobody"))


async def revokes_a_user_key(session: Session) -> None:
    """A revoked user key opens nothing more."""
    masters = await _masters(session)
    user = await masters.user(f"{MKG} && {LOW}")
    sealed = await masters.sealed(b"plan", f"{MKG} && {LOW}")
    assert await session.client.revoke_key("left", user) == user
    await refused(session.client.cover_crypt_decryption(sealed, user))


async def revokes_all_with_the_master_key(session: Session) -> None:
    """Revoking the private master key revokes the public one and the user keys."""
    masters = await _masters(session)
    user = await masters.user(f"{MKG} && {LOW}")
    sealed = await masters.sealed(b"plan", f"{MKG} && {LOW}")
    await session.client.revoke_key("over", masters.private)
    await refused(masters.sealed(b"plan", f"{MKG} && {LOW}"))
    await refused(session.client.cover_crypt_decryption(sealed, user))


async def destroys_master_keys(session: Session) -> None:
    """Destroyed master keys are not given out any more."""
    masters = await _masters(session)
    await session.client.revoke_key("over", masters.private)
    assert await session.client.destroy_key(masters.private) == masters.private
    for key in (masters.private, masters.public):
        await refused(session.client.get_object(key))


async def rekeys_an_access_policy(session: Session) -> None:
    """After a rekey, keys in the server open old and new; a user key kept outside only old."""
    masters, access = await _masters(session), f"{MKG} && {LOW}"
    user = await masters.user(access)
    kept = await session.key_bytes(user)
    old = await masters.sealed(b"old", access)
    answer = await session.client.rekey_cover_crypt_access_policy(MKG, masters.private)
    assert set(answer) == {masters.public, masters.private}
    new = await masters.sealed(b"new", access)
    assert await masters.opened(user, old) == b"old"
    assert await masters.opened(user, new) == b"new"
    outside = await _import_user(session, kept, str(uuid.uuid4()), access)
    assert await masters.opened(outside, old) == b"old"
    await refused(masters.opened(outside, new))


async def _import_user(session: Session, key: bytes, master: str, access: str) -> str:
    load = session.client.import_cover_crypt_user_decryption_key
    unique_identifier: str = await load(key, False, master, access)
    return unique_identifier


async def prunes_an_access_policy(session: Session) -> None:
    """A user key made after rekey and prune opens new data, and no data from before."""
    masters, access = await _masters(session), f"{MKG} && {LOW}"
    old = await masters.sealed(b"old", access)
    await session.client.rekey_cover_crypt_access_policy(MKG, masters.private)
    await session.client.prune_cover_crypt_access_policy(MKG, masters.private)
    user = await masters.user(access)
    assert await masters.opened(user, await masters.sealed(b"new", access)) == b"new"
    await refused(masters.opened(user, old))


async def adds_an_attribute(session: Session) -> None:
    """An attribute can be used once it has been added."""
    masters, access = await _masters(session), f"Department::R&D && {LOW}"
    await refused(masters.sealed(b"plan", access))
    add = session.client.add_cover_crypt_attribute
    await add("Department::R&D", False, masters.private)
    user = await masters.user(access)
    assert await masters.opened(user, await masters.sealed(b"plan", access)) == b"plan"


async def renames_an_attribute(session: Session) -> None:
    """A renamed attribute opens what was sealed under its old name, which is gone."""
    masters = await _masters(session)
    user = await masters.user(f"{FIN} && {LOW}")
    old = await masters.sealed(b"old", f"{FIN} && {LOW}")
    await session.client.rename_cover_crypt_attribute(FIN, "Finance", masters.private)
    new = await masters.sealed(b"new", f"Department::Finance && {LOW}")
    assert await masters.opened(user, old) == b"old"
    assert await masters.opened(user, new) == b"new"
    await refused(masters.sealed(b"plan", f"{FIN} && {LOW}"))


async def disables_an_attribute(session: Session) -> None:
    """A disabled attribute seals nothing more; what it sealed still opens."""
    masters, access = await _masters(session), f"{MKG} && {LOW}"
    user = await masters.user(access)
    old = await masters.sealed(b"old", access)
    await session.client.disable_cover_crypt_attribute(MKG, masters.private)
    await refused(masters.sealed(b"plan", access))
    assert await masters.opened(user, old) == b"old"


async def removes_an_attribute(session: Session) -> None:
    """A removed attribute seals nothing and is in no new key; the others go on."""
    masters = await _masters(session)
    user = await masters.user(f"{MKG} && {LOW}")
    await session.client.remove_cover_crypt_attribute(FIN, masters.private)
    await refused(masters.sealed(b"plan", f"{FIN} && {LOW}"))
    await refused(masters.user(f"{FIN} && {LOW}"))
    sealed = await masters.sealed(b"plan", f"{MKG} && {LOW}")
    assert await masters.opened(user, sealed) == b"plan"


async def imports_what_it_exported(session: Session) -> None:
    """Master and user keys that were got can be imported under new names, and work there."""
    masters, access = await _masters(session), f"{MKG} && {LOW}"
    user = await masters.user(access)
    policy, client = _policy(), session.client
    private, public = str(uuid.uuid4()), str(uuid.uuid4())
    loaded = await client.import_cover_crypt_master_private_key(
        await session.key_bytes(masters.private), False, public, policy, unique_identifier=private
    )
    assert loaded == private
    loaded = await client.import_cover_crypt_public_key(
        await session.key_bytes(masters.public), False, policy, private, public
    )
    assert loaded == public
    copy = await _import_user(session, await session.key_bytes(user), private, access)
    twins = _Masters(session, public, private)
    assert await twins.opened(copy, await twins.sealed(b"plan", access)) == b"plan"
    assert await twins.opened(user, await twins.sealed(b"plan", access)) == b"plan"


async def replaces_only_when_told(session: Session) -> None:
    """An import under a taken identifier is refused, unless it is to replace."""
    masters, policy = await _masters(session), _policy()
    key = await session.key_bytes(masters.public)
    load = session.client.import_cover_crypt_public_key
    await refused(load(key, False, policy, masters.private, masters.public))
    answer = await load(key, True, policy, masters.private, masters.public)
    assert answer == masters.public


async def returns_wrapped_imports_as_they_came(session: Session) -> None:
    """A key that the client wrapped by a password is stored and got untouched."""
    masters, policy = await _masters(session), _policy()
    key = await session.key_bytes(masters.private)
    load = session.client.import_cover_crypt_master_private_key
    wrapped = await load(
        key, False, masters.public, policy, is_wrapped=True, wrapping_password="secret"
    )
    got = await session.key_bytes(wrapped)
    assert got != key
    assert len(got) == (len(key) + 7) // 8 * 8 + 8  # RFC 5649 adds a block of 8 bytes


BEHAVIOURS: dict[str, Behaviour] = table(
    creates_master_keys,
    opens_what_the_access_policy_grants,
    refuses_what_the_access_policy_denies,
    keeps_metadata_and_authenticates_data,
    encrypts_without_data,
    finds_keys_by_tags,
    refuses_nonsense_policies,
    revokes_a_user_key,
    revokes_all_with_the_master_key,
    destroys_master_keys,
    rekeys_an_access_policy,
    prunes_an_access_policy,
    adds_an_attribute,
    renames_an_attribute,
    disables_an_attribute,
    removes_an_attribute,
    imports_what_it_exported,
    replaces_only_when_told,
    returns_wrapped_imports_as_they_came,
)

if __name__ == "__main__":
    drive(BEHAVIOURS)
