import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { writeCertificationRequest } from '@countersign/protocol/certificate/certificate-request.ts'
import { derFromRaw } from '@countersign/protocol/certificate/ecdsa-signature.ts'
import { writeName } from '@countersign/protocol/certificate/name.ts'
import { jwkFromSpki } from '@countersign/protocol/certificate/public-key.ts'
import { jwkThumbprint } from '@countersign/protocol/message/es256.ts'
import type { Caller } from '#domain/callers/caller.ts'
import type { Certificate, DeviceProfile } from '#domain/certificates/certificate.ts'
import type { DeviceOwner } from '#domain/certificates/certificate-service.ts'
import {
  createReadyTestCore,
  platformAdmin,
  type TestCore,
  type TestCoreOptions,
  testCaller,
} from './core.ts'

/** A key of a device in a test. */
export interface TestKey {
  readonly privateKey: KeyObject
  readonly spki: Uint8Array
  readonly thumbprint: string
  /** DER. */
  sign(bytes: Uint8Array): Promise<Uint8Array>
}

export function createTestKey(): TestKey {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const spki = Uint8Array.from(publicKey.export({ format: 'der', type: 'spki' }))
  return {
    privateKey,
    spki,
    thumbprint: jwkThumbprint(jwkFromSpki(spki)),
    sign: async (bytes) =>
      derFromRaw(sign('sha256', bytes, { key: privateKey, dsaEncoding: 'ieee-p1363' })),
  }
}

/** A request of PKCS#10 with whatever name. */
export function csrOf(key: TestKey, signer: TestKey = key): Promise<Uint8Array> {
  const subject = writeName({ commonName: 'ignored' })
  return writeCertificationRequest({ subject, publicKey: key.spki }, signer.sign)
}

/** A device of a user, with its keys. */
export interface TestDevice {
  readonly owner: DeviceOwner
  readonly caller: Caller
  readonly deviceKey: TestKey
  readonly bioKey: TestKey
}

/** A core with a tenant `acme` and its signer. */
export interface CertificateBench extends AsyncDisposable {
  readonly core: TestCore
  readonly admin: Caller
  createDevice(userId?: string, tenantId?: string): TestDevice
  /** Asks for a certificate and waits until it is issued. */
  issue(device: TestDevice, profile?: DeviceProfile, key?: TestKey): Promise<Certificate>
  /** Until nothing is due. */
  settle(): Promise<void>
}

export const tenantId = 'acme'

export async function createCertificateBench(
  options: TestCoreOptions & { readonly hasSigner?: boolean } = {},
): Promise<CertificateBench> {
  const core = await createReadyTestCore(options)
  await core.tenants.create(platformAdmin, { id: tenantId, name: 'Acme' })
  const admin = testCaller(tenantId, ['tenant:write', 'ast:write'])
  const bench: CertificateBench = {
    core,
    admin,
    createDevice(userId = 'jsmith', ofTenant = tenantId) {
      const deviceKey = createTestKey()
      const bioKey = createTestKey()
      const deviceId = core.nextId()
      return {
        deviceKey,
        bioKey,
        owner: {
          tenantId: ofTenant,
          deviceId,
          userId,
          deviceKey: deviceKey.thumbprint,
          bioKey: bioKey.thumbprint,
        },
        caller: testCaller(ofTenant, [], { type: 'DEVICE', id: deviceId, surface: 'device' }),
      }
    },
    async issue({ owner, caller, deviceKey }, profile = 'AST_DEVICE', key = deviceKey) {
      const csr = await csrOf(key)
      const { id } = await core.pki.certificates.request(caller, owner, { profile, csr })
      await bench.settle()
      return core.pki.certificates.getOwn(caller, owner, id)
    },
    async settle() {
      await core.pki.issuance.issueDue()
    },
    [Symbol.asyncDispose]: () => core[Symbol.asyncDispose](),
  }
  if (options.hasSigner !== false) {
    await core.pki.signers.create(admin, tenantId)
    await bench.settle()
  }
  return bench
}
