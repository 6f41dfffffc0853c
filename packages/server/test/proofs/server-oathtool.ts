/**
 * Codes of another maker: those that `oathtool` of the OATH Toolkit computes are accepted once each, for every hash and
 * length that it knows.
 *
 *     npm run proof:oathtool
 */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { HttpClient } from '../end-to-end/client.ts'
import { createInstallation, seeder, tenantId, verifyPath } from '../end-to-end/installation.ts'

const codesPerHotpToken = 5
const algorithms = ['SHA1', 'SHA256', 'SHA512'] as const
const lengths = [6, 7, 8] as const

interface Device {
  readonly serial: string
  readonly type: 'HOTP' | 'TOTP'
  readonly algorithm: (typeof algorithms)[number]
  readonly digits: number
  readonly secretHex: string
}

function oathtool(...parameters: readonly string[]): string[] {
  return execFileSync('oathtool', parameters, { encoding: 'utf8' }).trim().split('\n')
}

function requireOathtool(): string {
  try {
    return oathtool('--version')[0] ?? ''
  } catch {
    process.stderr.write(
      'oathtool is not installed. Debian, Ubuntu: apt-get install oathtool. Fedora: dnf install oathtool. macOS: brew install oath-toolkit.\n',
    )
    process.exit(2)
  }
}

/** oathtool computes HOTP with SHA-1 only. */
function makeDevices(): Device[] {
  const kinds = [
    { type: 'HOTP', algorithm: 'SHA1' } as const,
    ...algorithms.map((algorithm) => ({ type: 'TOTP', algorithm }) as const),
  ]
  return kinds.flatMap((kind) =>
    lengths.map((digits) => ({
      ...kind,
      digits,
      serial: `${kind.type}-${kind.algorithm}-${digits}`,
      secretHex: randomBytes(32).toString('hex'),
    })),
  )
}

/** HOTP: one code a counter, from 0. TOTP: the code of now. */
function codesOf({ type, algorithm, digits, secretHex }: Device): string[] {
  const length = ['--digits', String(digits), secretHex]
  return type === 'HOTP'
    ? oathtool('--hotp', '--window', String(codesPerHotpToken - 1), ...length)
    : oathtool(`--totp=${algorithm.toLowerCase()}`, ...length)
}

const version = requireOathtool()
const devices = makeDevices()
await using installation = await createInstallation({
  engine: 'sqlite',
  hotpCount: 0,
  async fill({ core }) {
    const admin = seeder(tenantId, ['tenant:write'])
    for (const { serial, type, algorithm, digits, secretHex } of devices) {
      const user = { id: serial }
      await core.users.create(admin, tenantId, { id: serial, loginName: serial })
      const secret = { encoding: 'HEX', value: secretHex } as const
      await core.enrolment.enrol(admin, tenantId, { serial, type, algorithm, digits, secret, user })
    }
  },
})
const server = await installation.start()
using client = new HttpClient(server.url)

let faultCount = 0
for (const device of devices) {
  const verify = async (code: string) => {
    const { admin: secret } = installation.seeds.secrets
    const body = { token: { serial: device.serial }, code }
    return (await client.call({ path: verifyPath, secret, body })).json().result
  }
  const codes = codesOf(device)
  const results = []
  for (const code of codes) results.push(await verify(code))
  const replay = await verify(codes.at(-1) ?? '')
  const isGood = results.every((result) => result === 'ACCEPTED') && replay === 'REJECTED'
  if (!isGood) faultCount += 1
  process.stdout.write(
    `${isGood ? 'ok    ' : 'FAILED'} ${device.serial}: ${results.join(' ')}, again ${replay}\n`,
  )
}
process.stdout.write(
  `${version}: ${devices.length - faultCount} of ${devices.length} tokens agree\n`,
)
if (faultCount > 0) process.exitCode = 1
