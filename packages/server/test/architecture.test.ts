import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import {
  cycleFaults,
  environmentFaults,
  importFaults,
  importsOf,
  loadedWith,
  type SourceFile,
  shapeFaults,
  sharedWithDevices,
} from './support/architecture.ts'
import { secretComparisons } from './support/secret-comparisons.ts'

const root = fileURLToPath(new URL('../../../', import.meta.url))
const files: readonly SourceFile[] = globSync('packages/{server,protocol,device-sdk}/**/*.ts', {
  cwd: root,
  exclude: (name) => name.includes('node_modules'),
})
  .sort()
  .map((path) => ({ path, text: readFileSync(root + path, 'utf8') }))

/** The hashes of the journal's chain are no secret: every export carries them. */
const chainHashes = /\/journal\/[a-z-]+\.ts: .*\b(hash|prevHash)\b/

/** Comparisons that look like R20 and are none, each with the reason. */
const harmlessComparisons: Readonly<Record<string, string>> = {
  'packages/device-sdk/approval-content.ts: told !== hash': 'of bytes that are shown',
  'packages/device-sdk/enrolment.ts: enrolling?.codeHash === codeHash':
    'on the device itself, which has the code',
  'packages/server/src/domain/verification/verification-service.ts: pin === lookAgain': 'a symbol',
  'packages/server/src/domain/verification/pin-check.ts: verdict.pin !== target.typed.pin':
    'the same request, read twice',
  'packages/server/src/domain/verification/pin-check.ts: verdict.pinHash !== target.candidate.pinHash':
    'the same row, read twice',
}

describe('the tree', () => {
  test('is read at all', () => {
    expect(files.length).toBeGreaterThan(50)
    expect(files.flatMap(importsOf).length).toBeGreaterThan(200)
    const paths = new Set(files.map(({ path }) => path))
    const ours = files.flatMap(importsOf).filter(({ isOurs }) => isOurs)
    expect(ours.map(({ target }) => target).filter((target) => !paths.has(target))).toEqual([])
  })

  test('imports go one way', () => {
    expect(files.flatMap(importFaults)).toEqual([])
  })

  test('what devices run needs nothing of Node, nor does what it imports', () => {
    const byPath = new Map(files.map((file) => [file.path, file]))
    const reached = new Set<string>()
    const visit = (path: string): void => {
      const file = byPath.get(path)
      if (file === undefined || reached.has(path)) return
      reached.add(path)
      for (const { target, isOurs, isTypeOnly } of importsOf(file)) {
        if (isOurs && !isTypeOnly) visit(target)
      }
    }
    for (const path of ['packages/device-sdk/device.ts', ...sharedWithDevices]) visit(path)
    const builtIn = [...reached].flatMap((path) => {
      const file = byPath.get(path)
      const imports = file === undefined ? [] : importsOf(file)
      return imports.filter(({ isOurs }) => !isOurs).map(({ target }) => `${path}: ${target}`)
    })
    expect(reached.size).toBeGreaterThan(25)
    expect(builtIn).toEqual([])
  })

  test('the server starts without what only some requests need, or brings what nobody needs', () => {
    const loaded = loadedWith('packages/server/src/main.ts', files)
    expect([...loaded]).toEqual(expect.arrayContaining(['fastify', 'kysely', 'node:sqlite']))
    const needless = ['pdfkit', 'fontkit', 'bidi-js', 'qrcode', 'node:http']
    expect(needless.filter((name) => loaded.has(name))).toEqual([])
    const printing = loadedWith('packages/server/src/printing/pdf-document.ts', files)
    expect(printing.has('pdfkit')).toBe(true)
  })

  test('no cycle of imports crosses a folder', () => {
    expect(cycleFaults(files)).toEqual([])
  })

  test('only config.ts reads the environment', () => {
    expect(files.flatMap(environmentFaults)).toEqual([])
  })

  test('files have names that say something, no default exports, and a length that can be read', () => {
    expect(files.flatMap(shapeFaults)).toEqual([])
  })

  test('R20: secrets are compared by timingSafeEqual only', () => {
    const found = files.flatMap(secretComparisons).filter((text) => !chainHashes.test(text))
    expect([...new Set(found)].sort()).toEqual(Object.keys(harmlessComparisons).sort())
  })
})

describe('the checks find what they are for', () => {
  const src = 'packages/server/src'

  test.each([
    [`${src}/surfaces/okm/acl.ts`, "import { x } from '#surfaces/ast/wire.ts'"],
    [`${src}/surfaces/okm/acl.ts`, "import { x } from '../ast/wire.ts'"],
    [`${src}/surfaces/okm/acl.ts`, "import type { X } from '#storage/schema.ts'"],
    [`${src}/surfaces/okm/acl.ts`, "import { x } from '#custody/vault.ts'"],
    [`${src}/surfaces/okm/acl.ts`, "import { createHash } from 'node:crypto'"],
    [`${src}/surfaces/okm/acl.ts`, "import type { JWK } from 'jose'"],
    [`${src}/surfaces/okm/acl.ts`, "const x = await import('jose')"],
    [`${src}/surfaces/okm/acl.ts`, 'const x = await import(name)'],
    [`${src}/surfaces/okm/acl.ts`, "export { x } from '../../config.ts'"],
    [`${src}/surfaces/okm/acl.ts`, "export * from '#storage/schema.ts'"],
    [`${src}/http/mount.ts`, "import { x } from '#surfaces/okm/wire.ts'"],
    [`${src}/http/mount.ts`, "import type { X } from '#custody/vault.ts'"],
    [`${src}/delivery/push.ts`, "import {\n  a,\n  b,\n} from '#storage/schema.ts'"],
    [`${src}/delivery/push.ts`, "import { x } from '#http/mount.ts'"],
    [`${src}/push/fcm-sender.ts`, "import { x } from '#delivery/outbound-http.ts'"],
    [
      `${src}/push/fcm-sender.ts`,
      "import { signProviderJwt } from '#custody/provider-signature.ts'",
    ],
    [`${src}/push/fcm-sender.ts`, "import { sign } from 'node:crypto'"],
    [`${src}/printing/sheet.ts`, "import { x } from '#http/mount.ts'"],
    [`${src}/printing/sheet.ts`, "import { x } from '#custody/secrets.ts'"],
    [`${src}/surfaces/okm/acl.ts`, "import PDFDocument from 'pdfkit'"],
    [`${src}/domain/users/user-service.ts`, "import { x } from '#storage/schema.ts'"],
    [`${src}/domain/users/user.ts`, "import { x } from '#http/mount.ts'"],
    [`${src}/domain/users/user-store.ts`, "import { sql } from 'kysely'"],
    [`${src}/domain/users/user.ts`, "import { hash } from '@node-rs/argon2'"],
    [`${src}/domain/users/user.ts`, "import { createHash, sign } from 'node:crypto'"],
    [`${src}/domain/users/user.ts`, "import { x } from '#test/support/storage.ts'"],
    [`${src}/domain/users/user.ts`, "import { x } from './user.fixture.ts'"],
    [`${src}/custody/vault.ts`, "import type { Clock } from '#domain/clock.ts'"],
    [`${src}/custody/vault.ts`, "import '#storage/schema.ts'"],
    [`${src}/storage/schema.ts`, "import { x } from '../domain/clock.ts'"],
    [`${src}/plumbing/pipe.ts`, 'export const x = 1'],
    ['packages/protocol/otp/hotp.ts', "import { readFileSync } from 'node:fs'"],
    ['packages/protocol/otp/hotp.ts', "import { x } from '../../server/src/config.ts'"],
    ['packages/protocol/otp/hotp.ts', "import { x } from '../../device-sdk/device.ts'"],
    ['packages/device-sdk/login.ts', "import { x } from '../server/src/config.ts'"],
    ['packages/device-sdk/login.ts', "import { createHash } from 'node:crypto'"],
    ['packages/device-sdk/login.ts', "import { decodeJwt } from 'jose'"],
    [`${src}/commands/copy.ts`, "import { x } from '@countersign/device-sdk/device.ts'"],
    [`${src}/domain/users/user.ts`, "import { x } from '@countersign/device-sdk/device.ts'"],
  ])('%s may not contain: %s', (path, text) => {
    expect(importFaults({ path, text })).toHaveLength(1)
  })

  test.each([
    [`${src}/surfaces/okm/acl.ts`, "import { x } from './wire.ts'"],
    [`${src}/surfaces/okm/acl.ts`, "import { x } from '#http/mount.ts'"],
    [`${src}/surfaces/okm/acl.ts`, "import { x } from '#printing/sheet.ts'"],
    [`${src}/printing/sheet.ts`, "import { x } from '#domain/errors.ts'"],
    [`${src}/surfaces/okm/acl.ts`, "// import { x } from '#storage/schema.ts'"],
    [`${src}/surfaces/okm/acl.ts`, "const text = 'select from' + \"'#storage/schema.ts'\""],
    [`${src}/custody/vault.ts`, 'return this.#import(jwk)'],
    [`${src}/surfaces/okm/acl.test.ts`, "import { x } from '#storage/schema.ts'"],
    [`${src}/domain/users/user-store.ts`, "import { x } from '#storage/queries.ts'"],
    [`${src}/domain/storage.ts`, "import { x } from '#storage/queries.ts'"],
    [`${src}/domain/users/user.ts`, "import { createHash } from 'node:crypto'"],
    [`${src}/custody/vault.ts`, "import { sign } from 'node:crypto'"],
    [`${src}/app.ts`, "import { x } from '#storage/database.ts'"],
    [`${src}/commands/copy.ts`, "import { x } from '#storage/database.ts'"],
    ['packages/protocol/otp/hotp.ts', "import { createHmac } from 'node:crypto'"],
    ['packages/device-sdk/login.ts', "import { x } from '@countersign/protocol/der/der-writer.ts'"],
    ['packages/device-sdk/storage/file-storage.ts', "import { open } from 'node:fs/promises'"],
    [`${src}/commands/simulate/phone.ts`, "import { x } from '@countersign/device-sdk/device.ts'"],
  ])('%s may contain: %s', (path, text) => {
    expect(importFaults({ path, text })).toEqual([])
  })

  test.each([
    [`${src}/main.ts`, 'const home = process.env.HOME'],
    [`${src}/domain/clock.ts`, 'readConfig(process.env)'],
    [`${src}/domain/clock.ts`, "process['env'].HOME"],
    [`${src}/domain/clock.ts`, 'const { env } = process'],
  ])('%s may not read the environment by: %s', (path, text) => {
    expect(environmentFaults({ path, text })).toHaveLength(1)
  })

  test('the programs may hand the environment to the config', () => {
    const text = 'const settings = readConfig(process.env, (path) => readFileSync(path))'
    expect(environmentFaults({ path: `${src}/main.ts`, text })).toEqual([])
  })

  test('a cycle across folders is found, one of types alone is none', () => {
    const one = { path: `${src}/domain/a/a.ts`, text: "import { b } from '../b/b.ts'" }
    const two = { path: `${src}/domain/b/b.ts`, text: "import { c } from './c.ts'" }
    const three = { path: `${src}/domain/b/c.ts`, text: "import { a } from '../a/a.ts'" }
    expect(cycleFaults([one, two, three])).toHaveLength(1)
    const byType = { path: three.path, text: three.text.replace('import', 'import type') }
    expect(cycleFaults([one, two, byType])).toEqual([])
  })

  test.each([
    [`${src}/http/utils.ts`, ''],
    [`${src}/helpers/text.ts`, ''],
    [`${src}/http/session-manager.ts`, ''],
    [`${src}/http/HttpServer.ts`, ''],
    [`${src}/http/server.ts`, 'export default 1'],
    [`${src}/http/server.ts`, '\n'.repeat(400)],
  ])('the shape of %s is refused', (path, text) => {
    expect(shapeFaults({ path, text })).toHaveLength(1)
  })

  test.each([
    'if (hash === storedHash) {',
    'return secretHex !== given',
    'return mac(key, text) == this.#expectedMac',
    'return given === this.#secret',
    'row.secret_hash === computed',
    'if (authTag.equals(expected)) {',
    'Buffer.compare(digest, other) === 0',
    'options?.metricsToken !== presented',
    'pins[0].pinHash === candidate',
  ])('R20: finds %s', (text) => {
    expect(secretComparisons({ path: `${src}/domain/x.ts`, text })).not.toEqual([])
  })

  test.each([
    'if (token === undefined) {',
    "if (typeof secret === 'string') {",
    'if (mac.length !== expected.length) {',
    "if (token.status === 'ACTIVE') {",
    'if (error.code === expectedCode) {',
    '// hash === storedHash',
    'timingSafeEqual(hash, storedHash)',
    'if (serial === token.serial) {',
    'if (operation.tag === tag) {',
  ])('R20: leaves alone %s', (text) => {
    expect(secretComparisons({ path: `${src}/domain/x.ts`, text })).toEqual([])
  })
})
