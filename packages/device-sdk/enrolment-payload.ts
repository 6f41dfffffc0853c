import { CodeParameters } from './code-parameters.ts'

/** What a QR code of an enrolment says. Show server and tenant to the user before going on. */
export interface EnrolmentPayload {
  /** Origin, without a path. */
  readonly server: string
  readonly tenantId: string
  readonly code: string
  /** base64url SHA-256 of the DER of the one trust anchor that is to be trusted. */
  readonly anchor: string | undefined
}

/**
 * Reads `countersign://enrol?v=1&server=…&tenant=…&code=…[&anchor=…]`. Unknown parameters are ignored.
 *
 * @throws DeviceError `payload_invalid`; also for an unknown `v`, a parameter that comes twice, and a server that is not
 *   https (http for a loopback address).
 */
export function parseEnrolmentPayload(text: string): EnrolmentPayload {
  const parameters = new CodeParameters(text, 'enrol')
  return {
    server: parameters.server(),
    tenantId: parameters.tenantId(),
    code: parameters.required('code', /^[A-Za-z0-9_-]{43}$/),
    anchor: parameters.optional('anchor', /^[A-Za-z0-9_-]{43}$/),
  }
}
