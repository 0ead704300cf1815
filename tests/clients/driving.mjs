// What the drivers of the JavaScript client share: the list of behaviours, and the report.
// Run as: node DRIVER FOLDER URL GUEST_URL. FOLDER holds node_modules; the server at GUEST_URL keeps
// the same objects as the one at URL, but takes its callers for another user (see grants).
import { createRequire } from "node:module"
import { strict as assert } from "node:assert"
import path from "node:path"

const [folder, url, guestUrl] = process.argv.slice(2)
const BEHAVIOUR_MILLISECONDS = 60_000

export const GUEST = "guest@example.com"
export const kms = createRequire(path.resolve(folder, "from"))("cloudproof_js")
export const client = new kms.KmsClient(url)
export const guest = new kms.KmsClient(guestUrl)
export const connect = (apiKey) => new kms.KmsClient(url, apiKey)

export const bytes = (text) => new TextEncoder().encode(text)
export const hex = (data) => Buffer.from(data).toString("hex")

// Decrypt what encrypt answered.
export const open = async (key, sealed, options = {}) =>
  Buffer.from(
    await client.decrypt(key, sealed.data, {
      ivCounterNonce: sealed.ivCounterNonce,
      authenticatedEncryptionTag: sealed.authenticatedEncryptionTag,
      ...options,
    }),
  )

// A request that the server must refuse; "fetch failed" would mean that it did not answer.
export const refused = async (answer) => {
  const error = await answer.then(
    (got) => assert.fail(`not refused: ${JSON.stringify(got)}`),
    (raised) => raised,
  )
  assert.match(error.message, /request failed/)
  return error.message
}

const behaviours = []
export const behaviour = (name, sentence, run) => behaviours.push([name, run])

const attempt = async (run) => {
  const late = new Promise((_, reject) =>
    setTimeout(() => reject(new Error("no end in sight")), BEHAVIOUR_MILLISECONDS).unref(),
  )
  try {
    return { failed: null, facts: (await Promise.race([run(), late])) ?? {} }
  } catch (error) {
    return { failed: String(error.stack), facts: {} }
  }
}

export const drive = async () => {
  const report = {}
  for (const [name, run] of behaviours) report[name] = await attempt(run)
  process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0))
}
