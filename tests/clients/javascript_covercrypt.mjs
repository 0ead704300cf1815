// Covercrypt keys, as the published JavaScript client handles them.
import { strict as assert } from "node:assert"
import { randomUUID } from "node:crypto"
import { behaviour, bytes, client, drive, hex, kms, refused } from "./driving.mjs"

const PLAINTEXT = bytes("attack at dawn")
const [FIN, MKG] = ["Department::FIN", "Department::MKG"]
const [LOW, HIGH] = ["Security Level::Protected", "Security Level::Top Secret"]
const ACCESS = `${MKG} && ${LOW}`

await kms.CoverCrypt() // loads the engine that makes policies

const attributes = (names) => names.map((name) => ({ name, isHybridized: name === "Top Secret" }))
const policy = () => {
  const levels = attributes(["Protected", "Confidential", "Top Secret"])
  const departments = attributes(["FIN", "MKG", "HR"])
  const axes = [
    new kms.PolicyAxis("Security Level", levels, true),
    new kms.PolicyAxis("Department", departments, false),
  ]
  return kms.PolicyKms.fromBytes(new kms.Policy(axes).toBytes())
}

const masters = async (tags = []) => {
  const [secret, open] = await client.createCoverCryptMasterKeyPair(policy(), tags)
  return { secret, public: open }
}
const opened = async (user, sealed, options = {}) =>
  hex((await client.coverCryptDecrypt(user, sealed, options)).plaintext)

behaviour("creates_master_keys", "Both master keys can be got, with their policy.", async () => {
  const keys = await masters()
  const secret = await client.retrieveCoverCryptSecretMasterKey(keys.secret)
  const open = await client.retrieveCoverCryptPublicMasterKey(keys.public)
  for (const key of [secret, open]) {
    assert.ok(key.bytes().length > 100)
    assert.deepEqual(
      Object.keys(JSON.parse(Buffer.from(key.policy().toBytes())).dimensions).sort(),
      ["Department", "Security Level"],
    )
  }
})

behaviour("opens_what_the_access_policy_grants", "No less than granted.", async () => {
  const keys = await masters()
  const user = await client.createCoverCryptUserDecryptionKey(`${MKG} && ${HIGH}`, keys.secret)
  for (const access of [ACCESS, `${MKG} && ${HIGH}`]) {
    const sealed = await client.coverCryptEncrypt(keys.public, access, PLAINTEXT)
    assert.equal(await opened(user, sealed), hex(PLAINTEXT))
  }
})

behaviour("refuses_what_the_access_policy_denies", "No more than granted.", async () => {
  const keys = await masters()
  const user = await client.createCoverCryptUserDecryptionKey(ACCESS, keys.secret)
  for (const access of [`${FIN} && ${LOW}`, `${MKG} && ${HIGH}`]) {
    await refused(
      client.coverCryptDecrypt(user, await client.coverCryptEncrypt(keys.public, access, PLAINTEXT)),
    )
  }
})

behaviour("keeps_metadata_and_authenticates_data", "Header metadata comes back.", async () => {
  const keys = await masters()
  const user = await client.createCoverCryptUserDecryptionKey(ACCESS, keys.secret)
  const authenticationData = bytes("who")
  const options = { headerMetadata: bytes("page 1"), authenticationData }
  const sealed = await client.coverCryptEncrypt(keys.public, ACCESS, PLAINTEXT, options)
  const answer = await client.coverCryptDecrypt(user, sealed, { authenticationData })
  assert.equal(hex(answer.plaintext), hex(PLAINTEXT))
  assert.equal(hex(answer.headerMetadata), hex(bytes("page 1")))
  await refused(client.coverCryptDecrypt(user, sealed))
})

behaviour("encrypts_in_bulk", "Many messages go in one request each way.", async () => {
  const keys = await masters()
  const user = await client.createCoverCryptUserDecryptionKey(ACCESS, keys.secret)
  const messages = ["one", "", "three"].map(bytes)
  const sealed = await client.coverCryptBulkEncrypt(keys.public, ACCESS, messages)
  assert.equal(sealed.length, 3)
  const answer = await client.coverCryptBulkDecrypt(user, sealed)
  assert.deepEqual(answer.plaintext.map(hex), messages.map(hex))
})

behaviour("finds_keys_by_tags", "Tags name the keys of a pair.", async () => {
  const tag = `masters ${randomUUID()}`
  const keys = await masters([tag])
  const user = await client.createCoverCryptUserDecryptionKey(ACCESS, keys.secret)
  const sealed = await client.coverCryptEncrypt(JSON.stringify([tag, "_pk"]), ACCESS, PLAINTEXT)
  assert.equal(await opened(user, sealed), hex(PLAINTEXT))
  assert.deepEqual(await client.getUniqueIdentifiersByTags([tag, "_sk"]), [keys.secret])
})

behaviour("revokes_a_user_key", "A revoked user key opens nothing.", async () => {
  const keys = await masters()
  const user = await client.createCoverCryptUserDecryptionKey(ACCESS, keys.secret)
  const sealed = await client.coverCryptEncrypt(keys.public, ACCESS, PLAINTEXT)
  await client.revokeCoverCryptUserDecryptionKey(user, "left")
  await refused(client.coverCryptDecrypt(user, sealed))
})

behaviour("revokes_all_with_the_master_key", "The secret master key takes all along.", async () => {
  const keys = await masters()
  const user = await client.createCoverCryptUserDecryptionKey(ACCESS, keys.secret)
  const sealed = await client.coverCryptEncrypt(keys.public, ACCESS, PLAINTEXT)
  await client.revokeCoverCryptSecretMasterKey(keys.secret, "over")
  await refused(client.coverCryptDecrypt(user, sealed))
  await refused(client.coverCryptEncrypt(keys.public, ACCESS, PLAINTEXT))
})

behaviour("rekeys_and_prunes", "A rekey keeps old data readable.", async () => {
  const keys = await masters()
  const user = await client.createCoverCryptUserDecryptionKey(ACCESS, keys.secret)
  const old = await client.coverCryptEncrypt(keys.public, ACCESS, PLAINTEXT)
  const answer = await client.rekeyCoverCryptAccessPolicy(keys.secret, MKG)
  assert.deepEqual(answer, [keys.secret, keys.public])
  const fresh = await client.coverCryptEncrypt(keys.public, ACCESS, PLAINTEXT)
  assert.equal(await opened(user, old), hex(PLAINTEXT))
  assert.equal(await opened(user, fresh), hex(PLAINTEXT))
  await client.pruneCoverCryptAccessPolicy(keys.secret, MKG)
  const late = await client.createCoverCryptUserDecryptionKey(ACCESS, keys.secret)
  assert.equal(await opened(late, fresh), hex(PLAINTEXT))
  await refused(client.coverCryptDecrypt(late, old))
})

behaviour("edits_the_policy", "Attributes are added, renamed, disabled and removed.", async () => {
  const keys = await masters()
  const seal = (access) => client.coverCryptEncrypt(keys.public, access, PLAINTEXT)
  await client.addCoverCryptAttribute(keys.secret, "Department::R&D", false)
  await seal(`Department::R&D && ${LOW}`)
  await client.renameCoverCryptAttribute(keys.secret, "Department::R&D", "Research")
  await seal(`Department::Research && ${LOW}`)
  await client.disableCoverCryptAttribute(keys.secret, "Department::Research")
  await refused(seal(`Department::Research && ${LOW}`))
  await client.removeCoverCryptAttribute(keys.secret, FIN)
  await refused(seal(`${FIN} && ${LOW}`))
  await seal(ACCESS)
})

behaviour("imports_what_it_exported", "Keys that were got work under new names.", async () => {
  const keys = await masters()
  const user = await client.createCoverCryptUserDecryptionKey(ACCESS, keys.secret)
  const copies = { public: randomUUID(), secret: randomUUID(), user: randomUUID() }
  const open = await client.retrieveCoverCryptPublicMasterKey(keys.public)
  assert.equal(await client.importCoverCryptPublicMasterKey(copies.public, open), copies.public)
  const secret = await client.retrieveCoverCryptSecretMasterKey(keys.secret)
  assert.equal(await client.importCoverCryptSecretMasterKey(copies.secret, secret), copies.secret)
  const key = await client.retrieveCoverCryptUserDecryptionKey(user)
  assert.equal(await client.importCoverCryptUserDecryptionKey(copies.user, key), copies.user)
  const sealed = await client.coverCryptEncrypt(copies.public, ACCESS, PLAINTEXT)
  assert.equal(await opened(copies.user, sealed), hex(PLAINTEXT))
})

await drive()
