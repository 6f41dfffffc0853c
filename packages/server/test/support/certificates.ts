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
import { createTestKey, csrOf, type TestKey } from './device-keys.ts'

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
