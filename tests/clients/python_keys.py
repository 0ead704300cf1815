"""Symmetric keys, as the published Python client handles them.

Each function is one behaviour and one test; its docstring is what must hold.
"""

from __future__ import annotations

import asyncio
import uuid

from tests.clients.driving import Behaviour, Facts, Session, drive, refused, table

MEBIBYTE = 1 << 20


def _fresh_tags() -> list[str]:
    return [f"project {uuid.uuid4()}", "élysée"]


async def creates_keys_without_tags(session: Session) -> None:
    """Each Create without tags answers an identifier of its own."""
    first = await session.client.create_symmetric_key(256)
    second = await session.client.create_symmetric_key(256)
    assert first
    assert second
    assert first != second


async def creates_keys_of_every_length(session: Session) -> None:
    """A key of 128, 192 or 256 bits has as many bits when it is got."""
    for bits in (128, 192, 256):
        key = await session.client.create_symmetric_key(bits)
        assert len(await session.key_bytes(key)) * 8 == bits


async def creates_a_chacha20_key(session: Session) -> None:
    """A ChaCha20 key can be created and got."""
    key = await session.client.create_symmetric_key(256, "ChaCha20")
    assert len(await session.key_bytes(key)) == 32


async def gets_a_symmetric_key(session: Session) -> None:
    """Get names the object's type and gives the same bytes every time."""
    key = await session.client.create_symmetric_key(256)
    got = await session.client.get_object(key)
    assert got.object_type() == "SymmetricKey"
    assert bytes(got.key_block()) == await session.key_bytes(key)


async def encrypts_and_decrypts(session: Session) -> Facts:
    """Encrypt answers ciphertext, a nonce of 12 bytes and a tag of 16; Decrypt undoes it."""
    key = await session.client.create_symmetric_key(256)
    plaintext = b"attack at dawn"
    data, nonce, tag = await session.encrypted(plaintext, key)
    assert (len(data), len(nonce), len(tag)) == (len(plaintext), 12, 16)
    assert await session.decrypted(key, (data, nonce, tag)) == plaintext
    assert (await session.encrypted(plaintext, key))[1] != nonce
    return {
        "key": (await session.key_bytes(key)).hex(),
        "nonce": nonce.hex(),
        "sealed": (data + tag).hex(),
        "plaintext": plaintext.hex(),
    }


async def encrypts_without_data(session: Session) -> None:
    """The empty message encrypts to nothing but a nonce and a tag, and decrypts."""
    key = await session.client.create_symmetric_key(256)
    sealed = await session.encrypted(b"", key)
    assert sealed[0] == b""
    assert len(sealed[2]) == 16
    assert await session.decrypted(key, sealed) == b""


async def encrypts_a_mebibyte(session: Session) -> None:
    """A message of 1 MiB comes back whole."""
    key = await session.client.create_symmetric_key(256)
    plaintext = bytes(range(256)) * (MEBIBYTE // 256)
    assert await session.decrypted(key, await session.encrypted(plaintext, key)) == plaintext


async def refuses_another_tag(session: Session) -> None:
    """Decrypt refuses an authentication tag, nonce or ciphertext that was changed by one bit."""
    key = await session.client.create_symmetric_key(256)
    sealed = await session.encrypted(b"attack at dawn", key)
    for part in range(3):
        changed = [bytearray(each) for each in sealed]
        changed[part][0] ^= 1
        data, nonce, tag = map(bytes, changed)
        await refused(session.client.decrypt(data, key, nonce, tag))


async def refuses_a_missing_tag(session: Session) -> None:
    """Decrypt refuses ciphertext that comes without its authentication tag or its nonce."""
    key = await session.client.create_symmetric_key(256)
    data, nonce, tag = await session.encrypted(b"attack at dawn", key)
    await refused(session.client.decrypt(data, key, nonce))
    await refused(session.client.decrypt(data, key, None, tag))


async def refuses_another_key(session: Session) -> None:
    """Decrypt refuses ciphertext of another key."""
    key = await session.client.create_symmetric_key(256)
    other = await session.client.create_symmetric_key(256)
    data, nonce, tag = await session.encrypted(b"attack at dawn", key)
    await refused(session.client.decrypt(data, other, nonce, tag))


async def refuses_an_unknown_key(session: Session) -> None:
    """No operation does anything with an identifier that names nothing."""
    client, nobody = session.client, str(uuid.uuid4())
    await refused(client.get_object(nobody))
    await refused(client.encrypt(b"data", nobody))
    await refused(client.decrypt(b"data", nobody, bytes(12), bytes(16)))
    await refused(client.revoke_key("test", nobody))
    await refused(client.destroy_key(nobody))


async def finds_keys_by_tags(session: Session) -> None:
    """All tags of a key, some of them, or they and the system's name it in every operation."""
    client, tags = session.client, _fresh_tags()
    key = await client.create_symmetric_key(256, tags=tags)
    for named in (tags, tags[:1], [*tags, "_kk"]):
        assert await session.key_bytes(named) == await session.key_bytes(key)
        assert (await client.encrypt(b"data", named)).unique_identifier() == key
        assert await session.decrypted(named, await session.encrypted(b"data", key)) == b"data"


async def refuses_tags_nobody_has(session: Session) -> None:
    """One tag too many, another kind's system tag, or an unknown tag names nothing."""
    client, tags = session.client, _fresh_tags()
    await client.create_symmetric_key(256, tags=tags)
    for named in ([*tags, "other"], [tags[0], "_pk"], ["nothing has this tag"]):
        await refused(client.get_object(named))
        await refused(client.encrypt(b"data", named))
        await refused(client.revoke_key("test", named))


async def refuses_system_tags(session: Session) -> None:
    """A user cannot give a key a tag of the system's kind."""
    await refused(session.client.create_symmetric_key(256, tags=["_pk"]))


async def revokes_a_key(session: Session) -> None:
    """Revoke answers the identifier; then the key is neither given out nor encrypts."""
    client = session.client
    key = await client.create_symmetric_key(256)
    assert await client.revoke_key("no longer needed", key) == key
    await refused(client.get_object(key))
    await refused(client.encrypt(b"data", key))


async def revokes_and_destroys_by_tags(session: Session) -> None:
    """Revoke and Destroy take tags, and answer them as they were given."""
    client, tags = session.client, _fresh_tags()
    key = await client.create_symmetric_key(256, tags=tags)
    for answer in (await client.revoke_key("test", tags), await client.destroy_key(tags)):
        assert answer.startswith("[")
        assert all(tag in answer for tag in tags)
    await refused(client.get_object(key))


async def destroys_a_key(session: Session) -> None:
    """Destroy answers the identifier; then no operation finds the key's bytes."""
    client = session.client
    key = await client.create_symmetric_key(256)
    data, nonce, tag = await session.encrypted(b"attack at dawn", key)
    await client.revoke_key("test", key)
    assert await client.destroy_key(key) == key
    await refused(client.get_object(key))
    await refused(client.encrypt(b"data", key))
    await refused(client.decrypt(data, key, nonce, tag))


async def destroys_no_active_key(session: Session) -> None:
    """Destroy refuses a key that was not revoked, and the key goes on working."""
    client = session.client
    key = await client.create_symmetric_key(256)
    await refused(client.destroy_key(key))
    assert await session.decrypted(key, await session.encrypted(b"data", key)) == b"data"


async def wraps_by_another_key(session: Session) -> Facts:
    """A key created under a wrapping key is given out wrapped, and used like any other."""
    client = session.client
    wrapping_key = await client.create_symmetric_key(256)
    key = await client.create_symmetric_key(256, wrapping_key_id=wrapping_key)
    plaintext = b"attack at dawn"
    data, nonce, tag = await session.encrypted(plaintext, key)
    assert await session.decrypted(key, (data, nonce, tag)) == plaintext
    return {
        "wrapping_key": (await session.key_bytes(wrapping_key)).hex(),
        "wrapped": (await session.key_bytes(key)).hex(),
        "nonce": nonce.hex(),
        "sealed": (data + tag).hex(),
        "plaintext": plaintext.hex(),
    }


async def refuses_an_unknown_wrapping_key(session: Session) -> None:
    """A key is not created under a wrapping key that does not exist."""
    tags = _fresh_tags()
    create = session.client.create_symmetric_key
    await refused(create(256, tags=tags, wrapping_key_id=str(uuid.uuid4())))
    await refused(session.client.get_object(tags))


async def keeps_sensitive_keys(session: Session) -> None:
    """A sensitive key is used, but not given out."""
    key = await session.client.create_symmetric_key(256, sensitive=True)
    await refused(session.client.get_object(key))
    assert await session.decrypted(key, await session.encrypted(b"data", key)) == b"data"


async def ignores_credentials_it_does_not_ask_for(session: Session) -> None:
    """A server without authentication ignores a bearer token, an empty one, a database secret."""
    key = await session.client.create_symmetric_key(256)
    for options in ({"api_key": "token"}, {"api_key": ""}, {"database_secret": "c2VjcmV0"}):
        other = session.connect(**options)
        assert bytes((await other.get_object(key)).key_block()) == await session.key_bytes(key)


async def serves_twenty_clients(session: Session) -> None:
    """Twenty clients that create, use and retire keys at the same time all get what is theirs."""

    async def life(number: int) -> None:
        client = session.connect()
        key = await client.create_symmetric_key(256, tags=[f"life {uuid.uuid4()}"])
        for turn in range(5):
            data = f"client {number}, turn {turn}".encode()
            sealed = await client.encrypt(data, key)
            nonce, tag = sealed.iv_counter_nonce(), sealed.authenticated_encryption_tag()
            assert bytes(await client.decrypt(sealed.data(), key, nonce, tag)) == data
        assert await client.revoke_key("over", key) == key
        assert await client.destroy_key(key) == key

    await asyncio.gather(*map(life, range(20)))


BEHAVIOURS: dict[str, Behaviour] = table(
    creates_keys_without_tags,
    creates_keys_of_every_length,
    creates_a_chacha20_key,
    gets_a_symmetric_key,
    encrypts_and_decrypts,
    encrypts_without_data,
    encrypts_a_mebibyte,
    refuses_another_tag,
    refuses_a_missing_tag,
    refuses_another_key,
    refuses_an_unknown_key,
    finds_keys_by_tags,
    refuses_tags_nobody_has,
    refuses_system_tags,
    revokes_a_key,
    revokes_and_destroys_by_tags,
    destroys_a_key,
    destroys_no_active_key,
    wraps_by_another_key,
    refuses_an_unknown_wrapping_key,
    keeps_sensitive_keys,
    ignores_credentials_it_does_not_ask_for,
    serves_twenty_clients,
)

if __name__ == "__main__":
    drive(BEHAVIOURS)
