// Symmetric keys and access rights, as the published JavaScript client handles them.
import { strict as assert } from "node:assert"
import { randomBytes, randomUUID } from "node:crypto"
import {
  GUEST,
  behaviour,
  bytes,
  client,
  connect,
  drive,
  guest,
  hex,
  kms,
  open,
  refused,
} from "./driving.mjs"

const PLAINTEXT = bytes("attack at dawn")
const freshTags = () => [`project ${randomUUID()}`, "élysée"]

behaviour("tells_its_version", "The server is up, and its version is a JSON string.", async () => {
  assert.equal(await client.up(), true)
  const version = await (await client.version()).json()
  assert.equal(typeof version, "string")
  assert.match(version, /^\d+\.\d+/)
})

behaviour("creates_keys", "Each Create answers an identifier of its own, AES of 256 bits.", async () => {
  const first = await client.createSymmetricKey()
  const second = await client.createSymmetricKey()
  assert.notEqual(first, second)
  assert.equal((await client.retrieveSymmetricKey(first)).bytes().length, 32)
})

behaviour("creates_keys_of_every_length", "A key has as many bits as were asked for.", async () => {
  for (const bits of [128, 192, 256]) {
    const key = await client.createSymmetricKey(kms.SymmetricKeyAlgorithm.AES, bits)
    assert.equal((await client.retrieveSymmetricKey(key)).bytes().length * 8, bits)
  }
})

behaviour("creates_a_chacha20_key", "A ChaCha20 key can be created and got.", async () => {
  const key = await client.createSymmetricKey(kms.SymmetricKeyAlgorithm.ChaCha20, 256)
  assert.equal((await client.retrieveSymmetricKey(key)).bytes().length, 32)
})

behaviour("gets_a_key_in_both_forms", "Raw and transparent, Get gives the same bytes.", async () => {
  const key = await client.createSymmetricKey()
  const raw = await client.getObject(key)
  assert.equal(raw.type, "SymmetricKey")
  assert.equal(raw.value.bytes().length, 32)
  assert.equal(hex((await client.retrieveSymmetricKey(key)).bytes()), hex(raw.value.bytes()))
})

behaviour("encrypts_and_decrypts", "Decrypt undoes Encrypt.", async () => {
  const key = await client.createSymmetricKey()
  const sealed = await client.encrypt(key, PLAINTEXT, {})
  const { data, ivCounterNonce: nonce, authenticatedEncryptionTag: tag } = sealed
  assert.deepEqual([data.length, nonce.length, tag.length], [PLAINTEXT.length, 12, 16])
  assert.equal(hex(await open(key, sealed)), hex(PLAINTEXT))
  const facts = { key: (await client.retrieveSymmetricKey(key)).bytes(), nonce, plaintext: PLAINTEXT }
  const told = Object.fromEntries(Object.entries(facts).map(([name, value]) => [name, hex(value)]))
  return { ...told, sealed: hex(data) + hex(tag) }
})

behaviour("encrypts_without_data", "The empty message can be encrypted and decrypted.", async () => {
  const key = await client.createSymmetricKey()
  assert.equal((await open(key, await client.encrypt(key, bytes(""), {}))).length, 0)
})

behaviour("encrypts_a_mebibyte", "A message of 1 MiB comes back whole.", async () => {
  const key = await client.createSymmetricKey()
  const plaintext = randomBytes(1 << 20)
  assert.ok(plaintext.equals(await open(key, await client.encrypt(key, plaintext, {}))))
})

behaviour("authenticates_additional_data", "Decrypt needs the additional data of Encrypt.", async () => {
  const key = await client.createSymmetricKey()
  const options = { authenticatedEncryptionAdditionalData: bytes("who") }
  const sealed = await client.encrypt(key, PLAINTEXT, options)
  assert.equal(hex(await open(key, sealed, options)), hex(PLAINTEXT))
  await refused(open(key, sealed))
  await refused(open(key, sealed, { authenticatedEncryptionAdditionalData: bytes("you") }))
})

behaviour("uses_the_nonce_it_is_given", "Encrypt takes the caller's nonce.", async () => {
  const key = await client.createSymmetricKey()
  const ivCounterNonce = Uint8Array.from(randomBytes(12))
  const sealed = await client.encrypt(key, PLAINTEXT, { ivCounterNonce })
  const again = await client.encrypt(key, PLAINTEXT, { ivCounterNonce })
  assert.equal(hex(sealed.data), hex(again.data))
  assert.equal(hex(await open(key, sealed, { ivCounterNonce })), hex(PLAINTEXT))
})

behaviour("refuses_another_tag", "Decrypt refuses a changed tag or ciphertext.", async () => {
  const key = await client.createSymmetricKey()
  for (const part of ["data", "authenticatedEncryptionTag"]) {
    const sealed = await client.encrypt(key, PLAINTEXT, {})
    sealed[part][0] ^= 1
    await refused(open(key, sealed))
  }
})

behaviour("refuses_another_key", "Decrypt refuses ciphertext of another key.", async () => {
  const key = await client.createSymmetricKey()
  const other = await client.createSymmetricKey()
  await refused(open(other, await client.encrypt(key, PLAINTEXT, {})))
})

behaviour("refuses_an_unknown_key", "An identifier that names nothing does nothing.", async () => {
  const nobody = randomUUID()
  await refused(client.getObject(nobody))
  await refused(client.encrypt(nobody, PLAINTEXT, {}))
  await refused(client.revokeObject(nobody, "test"))
  await refused(client.destroyObject(nobody))
})

behaviour("finds_keys_by_tags", "Tags name a key in a request and in Locate.", async () => {
  const tags = freshTags()
  const key = await client.createSymmetricKey(kms.SymmetricKeyAlgorithm.AES, 256, [], tags)
  const named = JSON.stringify(tags)
  assert.equal(hex(await open(named, await client.encrypt(named, PLAINTEXT, {}))), hex(PLAINTEXT))
  assert.deepEqual(await client.getUniqueIdentifiersByTags(tags), [key])
  const [found] = await client.getObjectsByTags(tags)
  assert.equal(hex(found.value.bytes()), hex((await client.retrieveSymmetricKey(key)).bytes()))
})

behaviour("locates_many_and_none", "Locate answers all hits, and no hit.", async () => {
  const tags = freshTags()
  const create = () => client.createSymmetricKey(kms.SymmetricKeyAlgorithm.AES, 256, [], tags)
  const keys = [await create(), await create(), await create()]
  assert.deepEqual((await client.getUniqueIdentifiersByTags(tags)).sort(), keys.sort())
  assert.deepEqual((await client.getUniqueIdentifiersByTags([randomUUID()])) ?? [], [])
})

behaviour("imports_a_key", "An imported key is got as it was, and encrypts.", async () => {
  const [name, material] = [randomUUID(), randomBytes(32)]
  assert.equal(await client.importSymmetricKey(name, material), name)
  assert.equal(hex((await client.retrieveSymmetricKey(name)).bytes()), hex(material))
  assert.equal(hex(await open(name, await client.encrypt(name, PLAINTEXT, {}))), hex(PLAINTEXT))
})

behaviour("replaces_only_when_told", "An import under a taken name is refused or replaces.", async () => {
  const [name, material] = [randomUUID(), randomBytes(32)]
  await client.importSymmetricKey(name, randomBytes(32))
  await refused(client.importSymmetricKey(name, material))
  await client.importSymmetricKey(name, material, true)
  assert.equal(hex((await client.retrieveSymmetricKey(name)).bytes()), hex(material))
})

behaviour("revokes_a_key", "A revoked key is neither given out nor encrypts.", async () => {
  const key = await client.createSymmetricKey()
  await client.revokeSymmetricKey(key, "no longer needed")
  await refused(client.getObject(key))
  await refused(client.encrypt(key, PLAINTEXT, {}))
})

behaviour("revokes_for_a_numbered_reason", "A numeric reason is taken as well.", async () => {
  const key = await client.createSymmetricKey()
  await client.revokeObject(key, kms.RevocationReasonEnumeration.Superseded)
  await refused(client.encrypt(key, PLAINTEXT, {}))
})

behaviour("destroys_a_key", "A destroyed key does nothing any more.", async () => {
  const key = await client.createSymmetricKey()
  const sealed = await client.encrypt(key, PLAINTEXT, {})
  await client.revokeSymmetricKey(key, "test")
  await client.destroySymmetricKey(key)
  await refused(client.getObject(key))
  await refused(client.encrypt(key, PLAINTEXT, {}))
  await refused(open(key, sealed))
})

behaviour("gets_a_key_wrapped", "Get wraps a key under the key that it is told.", async () => {
  const wrappingKey = await client.createSymmetricKey()
  const key = await client.createSymmetricKey()
  const wrapped = (await client.getWrappedKey(key, wrappingKey)).value
  assert.equal(wrapped.bytes().length, 40) // RFC 5649: one block of 8 bytes more
  const { encryptionKeyInformation } = wrapped.keyBlock.keyWrappingData
  assert.equal(encryptionKeyInformation.uniqueIdentifier, wrappingKey)
  return {
    clear: hex((await client.getObject(key)).value.bytes()),
    wrapped: hex(wrapped.bytes()),
    wrapping_key: hex((await client.getObject(wrappingKey)).value.bytes()),
  }
})

behaviour("imports_what_it_got_wrapped", "A wrapped key can be imported, unwrapped or not.", async () => {
  const wrappingKey = await client.createSymmetricKey()
  const key = await client.createSymmetricKey()
  const sealed = await client.encrypt(key, PLAINTEXT, {})
  for (const unwrap of [true, false]) {
    const wrapped = await client.getWrappedKey(key, wrappingKey)
    const copy = await client.importKey(randomUUID(), wrapped, unwrap, wrappingKey)
    assert.equal((await client.getObject(copy)).value.bytes().length, unwrap ? 32 : 40)
    assert.equal(hex(await open(copy, sealed)), hex(PLAINTEXT))
  }
})

behaviour("refuses_to_unwrap_by_another_key", "A wrapped key needs its own wrapping key.", async () => {
  const key = await client.createSymmetricKey()
  const wrapped = await client.getWrappedKey(key, await client.createSymmetricKey())
  const other = await client.createSymmetricKey()
  await refused(client.importKey(randomUUID(), wrapped, true, other))
})

behaviour("grants_and_withdraws_access", "Another user can do what was granted, no more.", async () => {
  const key = await client.createSymmetricKey()
  const encrypt = () => guest.encrypt(key, PLAINTEXT, {})
  await refused(encrypt())
  await client.grantAccess(key, GUEST, [kms.KMIPOperations.encrypt])
  assert.equal(hex(await open(key, await encrypt())), hex(PLAINTEXT))
  await refused(guest.getObject(key))
  await refused(guest.revokeObject(key, "not theirs"))
  await client.revokeAccess(key, GUEST, [kms.KMIPOperations.encrypt])
  await refused(encrypt())
})

behaviour("lists_access", "The owner sees who was granted what, in order.", async () => {
  const key = await client.createSymmetricKey()
  const listed = async () => await (await client.listAccess(key)).json()
  assert.deepEqual(await listed(), [])
  const { encrypt, get } = kms.KMIPOperations
  const granted = await (await client.grantAccess(key, GUEST, [get, encrypt])).json()
  assert.match(granted.success, /guest@example\.com/)
  assert.deepEqual(await listed(), [{ user_id: GUEST, operations: ["encrypt", "get"] }])
  await client.revokeAccess(key, GUEST, [encrypt])
  assert.deepEqual(await listed(), [{ user_id: GUEST, operations: ["get"] }])
  await client.revokeAccess(key, GUEST, [get])
  assert.deepEqual(await listed(), [])
})

behaviour("lists_owned_and_obtained_objects", "Each user sees their own and the granted.", async () => {
  const key = await client.createSymmetricKey()
  await client.grantAccess(key, GUEST, [kms.KMIPOperations.get])
  const entry = async (answer) => (await (await answer).json()).find((one) => one.object_id === key)
  const owned = await entry(client.listOwnedObjects())
  assert.equal(owned.state, "Active")
  assert.equal(typeof owned.attributes, "object")
  const obtained = await entry(guest.listObtainedObjects())
  assert.equal(obtained.state, "Active")
  assert.deepEqual(obtained.operations, ["get"])
  assert.ok(obtained.owner_id)
  assert.equal(await entry(client.listObtainedObjects()), undefined)
  assert.equal(await entry(guest.listOwnedObjects()), undefined)
})

behaviour("lets_only_the_owner_share", "Neither a grantee nor anyone else may grant or list.", async () => {
  const key = await client.createSymmetricKey()
  const { get } = kms.KMIPOperations
  await client.grantAccess(key, GUEST, [get])
  await refused(guest.grantAccess(key, "third@example.com", [get]))
  await refused(guest.revokeAccess(key, GUEST, [get]))
  await refused(guest.listAccess(key))
  await refused(guest.grantAccess(randomUUID(), "third@example.com", [get]))
})

behaviour("ignores_a_token", "A server without authentication ignores a bearer token.", async () => {
  const key = await client.createSymmetricKey()
  for (const token of ["token", ""]) {
    assert.equal((await connect(token).getObject(key)).value.bytes().length, 32)
  }
})

behaviour("serves_many_requests_at_once", "Twenty keys live their lives at the same time.", async () => {
  const life = async () => {
    const key = await client.createSymmetricKey()
    assert.equal(hex(await open(key, await client.encrypt(key, PLAINTEXT, {}))), hex(PLAINTEXT))
    await client.revokeSymmetricKey(key, "over")
    await client.destroySymmetricKey(key)
  }
  await Promise.all(Array.from({ length: 20 }, life))
})

await drive()
