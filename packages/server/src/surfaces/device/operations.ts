import * as approvals from './approvals.ts'
import * as certificates from './certificates.ts'
import * as device from './device.ts'
import * as enrolment from './enrolment.ts'
import * as events from './events.ts'
import * as nonces from './nonces.ts'
import * as properties from './properties.ts'
import * as token from './token.ts'

const { readTrust: _readTrust, ...certificateEndpoints } = certificates

/** operationId → endpoint, for everything that is built. */
export const operations = {
  ...token,
  ...enrolment,
  ...device,
  ...certificateEndpoints,
  ...events,
  ...approvals,
  ...properties,
  ...nonces,
}
