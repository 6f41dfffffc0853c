import { readFileSync } from 'node:fs'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { pushEndpoints } from '#push/endpoints.ts'
import {
  ConfigError,
  type ConfigFault,
  publicUrlOf,
  readConfig,
  type Settings,
  variableNames,
} from './config.ts'

const keyBytes = Uint8Array.from({ length: 32 }, (_, index) => index)
const key = Buffer.from(keyBytes).toString('base64')
const adminToken = 'correct-horse-battery-staple'

type Environment = Record<string, string | undefined>

function read(env: Environment, files: Record<string, string> = {}): Settings {
  return readConfig(env, (path) => {
    const content = files[path]
    if (content === undefined) throw new Error(`ENOENT: ${path}`)
    return content
  })
}

function faultsOf(env: Environment, files: Record<string, string> = {}): readonly ConfigFault[] {
  try {
    read(env, files)
  } catch (error) {
    if (error instanceof ConfigError) return error.faults
    throw error
  }
  return []
}

function faultyVariables(env: Environment, files?: Record<string, string>): string[] {
  return faultsOf(env, files).map(({ variable }) => variable)
}

test('an empty environment gives the defaults of the contract', () => {
  const { config, secrets, warnings } = read({ PATH: '/bin', HOME: '/' })
  expect(JSON.parse(JSON.stringify(config))).toEqual({
    host: '127.0.0.1',
    port: 8080,
    database: { engine: 'sqlite', path: './data/countersign.db' },
    masterKeyFile: './data/master.key',
    logLevel: 'info',
    corsOrigins: [],
    trustProxy: [],
    surfaces: ['ast', 'dualshield', 'otp-server', 'keyless', 'okm', 'device'],
    outboundAllow: { hosts: [], ranges: [] },
    pushAllow: { hosts: [], ranges: [] },
    pushEndpoints,
    okmDeviceTrust: {
      kind: 'allowlist',
      ranges: [
        '127.0.0.0/8',
        '::1/128',
        '10.0.0.0/8',
        '172.16.0.0/12',
        '192.168.0.0/16',
        'fc00::/7',
      ],
    },
    okmUnclaimedMax: 1000,
    nodeId: expect.stringMatching(/^[A-Za-z0-9._-]{1,64}$/),
    shutdownSeconds: 10,
    authFailuresPerMinute: 60,
    deviceRequestsPerMinute: 120,
    issuerOutageHours: 24,
  })
  expect(secrets.databaseUrl.reveal()).toBe('sqlite:./data/countersign.db')
  expect(secrets.masterKey).toBeUndefined()
  expect(secrets.adminToken).toBeUndefined()
  expect(secrets.metricsToken).toBeUndefined()
  expect(warnings).toEqual([])
})

test('every variable of the contract is known, and no other', () => {
  const contract = readFileSync(
    new URL('../../../docs/contracts/platform.md', import.meta.url),
    'utf8',
  )
  const section = contract.slice(contract.indexOf('## 1 '), contract.indexOf('## 2 '))
  const documented = new Set<string>()
  for (const [, name = '', star] of section.matchAll(/(COUNTERSIGN_[A-Z_]*[A-Z])( \*)?/g)) {
    documented.add(name)
    if (star) documented.add(`${name}_FILE`)
  }
  expect([...variableNames].sort()).toEqual([...documented].sort())
})

test.each([
  ['HOST', '0.0.0.0', 'host', '0.0.0.0'],
  ['HOST', '::', 'host', '::'],
  ['HOST', 'localhost', 'host', 'localhost'],
  ['PORT', '0', 'port', 0],
  ['PORT', '65535', 'port', 65_535],
  [
    'DATABASE_URL',
    'sqlite:/var/lib/a b.db',
    'database',
    { engine: 'sqlite', path: '/var/lib/a b.db' },
  ],
  ['PUBLIC_URL', 'https://auth.example.org', 'publicUrl', 'https://auth.example.org'],
  ['PUBLIC_URL', 'http://[::1]:8080', 'publicUrl', 'http://[::1]:8080'],
  ['LOG_LEVEL', 'trace', 'logLevel', 'trace'],
  [
    'CORS_ORIGINS',
    'https://a.example, http://localhost:3000',
    'corsOrigins',
    ['https://a.example', 'http://localhost:3000'],
  ],
  ['TRUST_PROXY', '10.1.2.3,fc00::/7', 'trustProxy', ['10.1.2.3/32', 'fc00::/7']],
  ['SURFACES', 'okm,ast', 'surfaces', ['ast', 'okm']],
  [
    'OUTBOUND_ALLOW',
    '127.0.0.0/8, Hook.Example.org,::1',
    'outboundAllow',
    { hosts: ['hook.example.org'], ranges: ['127.0.0.0/8', '::1/128'] },
  ],
  [
    'PUSH_ALLOW',
    'push.lan,10.1.2.3',
    'pushAllow',
    { hosts: ['push.lan'], ranges: ['10.1.2.3/32'] },
  ],
  [
    'OKM_DEVICE_ALLOW',
    '192.0.2.0/24',
    'okmDeviceTrust',
    { kind: 'allowlist', ranges: ['192.0.2.0/24'] },
  ],
  ['OKM_DEVICE_TRUST', 'open', 'okmDeviceTrust', { kind: 'open' }],
  ['OKM_DEVICE_TRUST', 'mtls', 'okmDeviceTrust', { kind: 'mtls', caCertificates: [] }],
  ['OKM_UNCLAIMED_MAX', '0', 'okmUnclaimedMax', 0],
  [
    'OKM_AUDIT_DEST_URL',
    'https://siem.example.org/okm?x=1',
    'okmAuditDestUrl',
    'https://siem.example.org/okm?x=1',
  ],
  ['NODE_ID', 'node-1.eu', 'nodeId', 'node-1.eu'],
  ['SHUTDOWN_SECONDS', '0', 'shutdownSeconds', 0],
  ['AUTH_FAILURES_PER_MINUTE', '0', 'authFailuresPerMinute', 0],
  ['DEVICE_REQUESTS_PER_MINUTE', '600', 'deviceRequestsPerMinute', 600],
])('COUNTERSIGN_%s=%s becomes %s', (name, text, member, expected) => {
  const { config } = read({ [`COUNTERSIGN_${name}`]: text })
  expect(JSON.parse(JSON.stringify(config))).toMatchObject({ [member]: expected })
})

test('the client certificate header is kept in lower case, as headers arrive', () => {
  const { config } = read({
    COUNTERSIGN_CLIENT_CERT_HEADER: 'Client-Cert',
    COUNTERSIGN_TRUST_PROXY: '10.0.0.1',
  })
  expect(config.clientCertHeader).toBe('client-cert')
})

test.each([
  ['HOST', ['', '999.1.1.1', '127.1', '10.0.0.0/8', 'a b', 'http://x', '-x']],
  [
    'PORT',
    ['', '-1', '65536', '080', '8080 ', '1e3', '0x50', '80.0', '٨٠', '99999999999999999999'],
  ],
  [
    'DATABASE_URL',
    ['', 'sqlite:', 'sqlite::memory:', './x.db', 'mysql://h/d', 'postgres:', 'postgres:///d'],
  ],
  [
    'MASTER_KEY',
    [
      '',
      'x',
      key.slice(0, -1),
      `${key} `,
      `${key}=`,
      Buffer.alloc(31).toString('base64'),
      Buffer.alloc(33).toString('base64'),
      Buffer.alloc(32, 255).toString('base64url'),
      // The last character carries two bits that belong to no byte.
      `${key.slice(0, 42)}9=`,
    ],
  ],
  ['ADMIN_TOKEN', ['', 'a'.repeat(23), 'a'.repeat(256), `${adminToken} x`, `${adminToken}ü`]],
  [
    'PUBLIC_URL',
    [
      '',
      'auth.example.org',
      'https://auth.example.org/',
      'https://auth.example.org/path',
      'https://auth.example.org:443',
      'https://u:p@auth.example.org',
      'https://AUTH.example.org',
      'ftp://auth.example.org',
    ],
  ],
  ['LOG_LEVEL', ['', 'INFO', 'verbose', 'silent']],
  ['CORS_ORIGINS', ['', '*', 'null', 'https://a.example/', 'https://a.example,', 'a.example']],
  ['TRUST_PROXY', ['', 'true', 'proxy.local', '10.0.0.1/8', '10.0.0.0/8,,::1', '010.0.0.1']],
  ['CLIENT_CERT_HEADER', ['', 'Client Cert', 'x:y', 'ü']],
  ['SURFACES', ['', 'all', 'ast,ast', 'AST', 'platform', 'ast,']],
  ['OUTBOUND_ALLOW', ['', '*', '*.example.org', 'https://x', '10.0.0.1/8', 'a:80', '1.2.3']],
  ['PUSH_ALLOW', ['', '*', 'https://push.lan', '10.0.0.1/8']],
  ['OKM_DEVICE_TRUST', ['', 'none', 'Open']],
  ['OKM_DEVICE_ALLOW', ['', 'cabinet.local', '10.0.0.0/40']],
  ['OKM_DEVICE_CA', ['', '/missing.pem']],
  ['OKM_UNCLAIMED_MAX', ['', '-1', '1000001']],
  ['OKM_AUDIT_DEST_URL', ['', 'siem', 'file:///x', 'https://u:p@siem', 'https://siem/#x']],
  ['NODE_ID', ['', 'a b', 'a'.repeat(65), 'ü']],
  ['SHUTDOWN_SECONDS', ['', '-1', '3601', '1.5']],
  ['METRICS_TOKEN', ['', 'a b', 'a'.repeat(256)]],
  ['AUTH_FAILURES_PER_MINUTE', ['', '-1', 'off']],
  ['DEVICE_REQUESTS_PER_MINUTE', ['', '-1', 'off']],
])('COUNTERSIGN_%s refuses a text that breaks its rule', (name, texts) => {
  const variable = `COUNTERSIGN_${name}`
  for (const text of texts) {
    const faults = faultsOf({ COUNTERSIGN_MASTER_KEY: key, [variable]: text })
    expect(
      faults.map((fault) => fault.variable),
      JSON.stringify(text),
    ).toEqual([variable])
  }
})

describe('faults', () => {
  test('all come at once, each under its variable, in order', () => {
    expect(
      faultsOf({
        COUNTERSIGN_PORT: 'x',
        COUNTERSIGN_DATABASE_URL: 'postgres://app@db/countersign',
        COUNTERSIGN_ADMIN_TOKEN: adminToken,
        COUNTERSIGN_ADMIN_TOKEN_FILE: '/token',
        COUNTERSIGN_METRICS_TOKEN_FILE: '/missing',
        COUNTERSIGN_OKM_DEVICE_CA: '/missing',
        COUNTERSIGN_SPEED: 'fast',
        COUNTERSIGN_PORT_FILE: '/port',
      }),
    ).toEqual([
      {
        variable: 'COUNTERSIGN_ADMIN_TOKEN_FILE',
        problem: 'is given together with COUNTERSIGN_ADMIN_TOKEN; give one of them',
      },
      { variable: 'COUNTERSIGN_MASTER_KEY', problem: 'must be given with PostgreSQL' },
      {
        variable: 'COUNTERSIGN_METRICS_TOKEN_FILE',
        problem: 'names a file that cannot be read',
      },
      { variable: 'COUNTERSIGN_OKM_DEVICE_CA', problem: 'names a file that cannot be read' },
      { variable: 'COUNTERSIGN_PORT', problem: 'must be a whole number from 0 to 65535' },
      { variable: 'COUNTERSIGN_PORT_FILE', problem: 'is not a known variable' },
      { variable: 'COUNTERSIGN_SPEED', problem: 'is not a known variable' },
    ])
  })

  test('an empty variable is a fault, also where a default exists', () => {
    expect(faultsOf({ COUNTERSIGN_METRICS_TOKEN: '' })).toEqual([
      {
        variable: 'COUNTERSIGN_METRICS_TOKEN',
        problem: 'is empty; remove it to get the default',
      },
    ])
  })

  test('no fault repeats a value, because it may be a secret in the wrong place', () => {
    const value = 'hunter2 hunter2'
    for (const variable of variableNames) {
      const faults = faultsOf({ [variable]: value }, { [value]: value })
      expect(faults.length, variable).toBeGreaterThan(0)
      expect(JSON.stringify(faults)).not.toContain('hunter2')
    }
  })
})

describe('secrets', () => {
  const env = {
    COUNTERSIGN_DATABASE_URL: 'postgres://app:pa%24%24word@db.internal:5433/cs?password=second',
    COUNTERSIGN_MASTER_KEY: key,
    COUNTERSIGN_ADMIN_TOKEN: adminToken,
    COUNTERSIGN_METRICS_TOKEN: 'metrics-token',
  }

  test('are given whole to who asks for them', () => {
    const { config, secrets } = read(env)
    expect(secrets.databaseUrl.reveal()).toBe(env.COUNTERSIGN_DATABASE_URL)
    expect(secrets.masterKey?.reveal()).toEqual(keyBytes)
    expect(secrets.adminToken?.reveal()).toBe(adminToken)
    expect(secrets.metricsToken?.reveal()).toBe('metrics-token')
    expect(config.masterKeyFile).toBeUndefined()
    expect(config.database).toEqual({
      engine: 'postgres',
      place: 'postgres://db.internal:5433/cs',
    })
  })

  test('print as [secret] in every way of printing, and the config has none of them', () => {
    const settings = read(env)
    const { databaseUrl } = settings.secrets
    const prints = [
      JSON.stringify(settings),
      inspect(settings, { depth: null, showHidden: true }),
      `${databaseUrl}`,
      String(settings.secrets.masterKey),
      Object.values(databaseUrl).join(),
    ].join('\n')
    expect(prints).toContain('[secret]')
    for (const secret of ['pa%24%24word', 'second', key, adminToken, 'metrics-token']) {
      expect(prints).not.toContain(secret)
    }
  })

  test('come from files, without one newline at the end', () => {
    const { secrets } = read(
      {
        COUNTERSIGN_DATABASE_URL_FILE: '/run/url',
        COUNTERSIGN_MASTER_KEY_FILE: '/run/key',
        COUNTERSIGN_ADMIN_TOKEN_FILE: '/run/admin',
        COUNTERSIGN_METRICS_TOKEN_FILE: '/run/metrics',
      },
      {
        '/run/url': 'postgresql://db/cs\n',
        '/run/key': `${key}\n`,
        '/run/admin': `${adminToken}\r\n`,
        '/run/metrics': 'metrics-token',
      },
    )
    expect(secrets.databaseUrl.reveal()).toBe('postgresql://db/cs')
    expect(secrets.masterKey?.reveal()).toEqual(keyBytes)
    expect(secrets.adminToken?.reveal()).toBe(adminToken)
    expect(secrets.metricsToken?.reveal()).toBe('metrics-token')
  })

  test('a file with more than one newline at the end is a fault, not another secret', () => {
    expect(
      faultyVariables(
        { COUNTERSIGN_ADMIN_TOKEN_FILE: '/run/admin' },
        { '/run/admin': `${adminToken}\n\n` },
      ),
    ).toEqual(['COUNTERSIGN_ADMIN_TOKEN'])
  })

  test('PostgreSQL needs the master key, also when its URL comes from a file', () => {
    const files = { '/run/url': 'postgres://db/cs', '/run/key': key }
    expect(faultyVariables({ COUNTERSIGN_DATABASE_URL_FILE: '/run/url' }, files)).toEqual([
      'COUNTERSIGN_MASTER_KEY',
    ])
    expect(
      faultyVariables(
        { COUNTERSIGN_DATABASE_URL_FILE: '/run/url', COUNTERSIGN_MASTER_KEY_FILE: '/run/key' },
        files,
      ),
    ).toEqual([])
  })
})

describe('warnings', () => {
  const clearText = /clear text/

  test.each([
    [{ COUNTERSIGN_PUBLIC_URL: 'http://auth.example.org' }, 1],
    [{ COUNTERSIGN_PUBLIC_URL: 'http://127.example.org' }, 1],
    [{ COUNTERSIGN_HOST: '0.0.0.0' }, 1],
    [{ COUNTERSIGN_HOST: '::' }, 1],
    [{ COUNTERSIGN_HOST: '0.0.0.0', COUNTERSIGN_PUBLIC_URL: 'https://auth.example.org' }, 0],
    [{ COUNTERSIGN_PUBLIC_URL: 'http://localhost:3000' }, 0],
    [{ COUNTERSIGN_PUBLIC_URL: 'http://127.0.0.2' }, 0],
    [{ COUNTERSIGN_HOST: '::1' }, 0],
  ])('%j: %i about http on a host that is not loopback', (env, count) => {
    expect(read(env).warnings.filter((warning) => clearText.test(warning))).toHaveLength(count)
  })

  test('cabinets known by their serial alone are worth a warning', () => {
    expect(read({ COUNTERSIGN_OKM_DEVICE_TRUST: 'open' }).warnings).toEqual([
      expect.stringMatching(/only identity/),
    ])
  })

  test('settings without effect are worth a warning', () => {
    expect(read({ COUNTERSIGN_CLIENT_CERT_HEADER: 'client-cert' }).warnings).toHaveLength(1)
    expect(read({ COUNTERSIGN_OKM_DEVICE_TRUST: 'mtls' }).warnings).toHaveLength(1)
    expect(
      read({
        COUNTERSIGN_OKM_DEVICE_TRUST: 'mtls',
        COUNTERSIGN_CLIENT_CERT_HEADER: 'client-cert',
        COUNTERSIGN_TRUST_PROXY: '10.0.0.1',
      }).warnings,
    ).toEqual([])
  })
})

describe('COUNTERSIGN_OKM_DEVICE_CA', () => {
  const certificate = readFileSync(
    new URL('../test/support/okm-device-ca.pem', import.meta.url),
    'utf8',
  )
  const env = { COUNTERSIGN_OKM_DEVICE_TRUST: 'mtls', COUNTERSIGN_OKM_DEVICE_CA: '/ca.pem' }

  test('gives every certificate of the file', () => {
    const { config } = read(env, { '/ca.pem': `# ours\n${certificate}\n${certificate}` })
    expect(config.okmDeviceTrust).toEqual({
      kind: 'mtls',
      caCertificates: [certificate, certificate],
    })
  })

  test.each([
    ['no certificate', 'hello'],
    ['a broken certificate', certificate.replace('MII', 'AAA')],
    ['a good and a cut one', certificate + certificate.slice(0, 200)],
    ['a good and a broken one', certificate + certificate.replace('MII', 'AAA')],
  ])('refuses a file with %s', (_, pem) => {
    expect(faultyVariables(env, { '/ca.pem': pem })).toEqual(['COUNTERSIGN_OKM_DEVICE_CA'])
  })
})

test.each([
  ['127.0.0.1', undefined, 'http://127.0.0.1:4711'],
  ['::1', undefined, 'http://[::1]:4711'],
  ['0.0.0.0', 'https://auth.example.org', 'https://auth.example.org'],
])('the public URL of host %s with %s given is %s', (host, publicUrl, expected) => {
  const { config } = read({ COUNTERSIGN_HOST: host, COUNTERSIGN_PUBLIC_URL: publicUrl })
  expect(publicUrlOf(config, 4711)).toBe(expected)
})

test('push providers are called elsewhere by name; the others stay where they are', () => {
  const { pushEndpoints: endpoints } = read({
    COUNTERSIGN_PUSH_ENDPOINTS: 'fcm=http://proxy.acme.example/google/, apns=https://10.0.0.7:8443',
  }).config
  expect(endpoints).toEqual({
    ...pushEndpoints,
    fcm: 'http://proxy.acme.example/google',
    apns: 'https://10.0.0.7:8443',
  })
})

test.each([
  'fcm',
  'fcm=',
  'other=https://x.example',
  'fcm=ftp://x',
  'fcm=https://u:p@x',
  'fcm=https://x?a',
  'fcm=https://x#a',
])('COUNTERSIGN_PUSH_ENDPOINTS is not %s', (text) => {
  expect(faultyVariables({ COUNTERSIGN_PUSH_ENDPOINTS: text })).toEqual([
    'COUNTERSIGN_PUSH_ENDPOINTS',
  ])
})
