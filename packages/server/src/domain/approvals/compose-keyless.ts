import type { CertificateParts } from '../certificates/certificate-parts.ts'
import type { Clock } from '../clock.ts'
import { AuthenticationService } from '../devices/authentication-service.ts'
import type { DeviceParts } from '../devices/compose-devices.ts'
import { EnrolledDeviceService } from '../devices/enrolled-device-service.ts'
import type { Storage } from '../storage.ts'
import type { SettingsService } from '../tenants/settings-service.ts'
import { ExternalUserService } from '../users/external-user-service.ts'
import type { ApprovalParts } from './compose-approvals.ts'
import { CustomerJwtService } from './customer-jwt-service.ts'
import { OperationService } from './operation-service.ts'

/** Users, devices and approvals as a Keyless backend deals with them. */
export interface KeylessParts {
  readonly operations: OperationService
  readonly customerJwtChecks: CustomerJwtService
  readonly enrolledDevices: EnrolledDeviceService
  readonly externalUsers: ExternalUserService
  readonly authentications: AuthenticationService
}

/** Builds them by plain constructors. */
export function composeKeyless(dependencies: {
  storage: Storage
  settings: SettingsService
  clock: Clock
  pki: CertificateParts
  devices: DeviceParts
  approvals: ApprovalParts
}): KeylessParts {
  const { pki, devices, approvals } = dependencies
  const base = {
    storage: dependencies.storage,
    settings: dependencies.settings,
    clock: dependencies.clock,
  }
  const externalUsers = new ExternalUserService(base)
  return {
    operations: new OperationService({ ...base, approvals: approvals.approvals }),
    customerJwtChecks: new CustomerJwtService({
      ...base,
      customerKeys: pki.customerKeys,
      jwts: approvals.customerJwts,
    }),
    enrolledDevices: new EnrolledDeviceService({ ...base, ending: devices.deviceEnding }),
    externalUsers,
    authentications: new AuthenticationService({ ...base, externalUsers }),
  }
}
