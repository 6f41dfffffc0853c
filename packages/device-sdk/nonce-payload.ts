import { CodeParameters, invalidCode } from './code-parameters.ts'

/** What redeeming does: a login at the portal, or a transaction to sign as well. */
export type NonceAction = 'LOGIN_NONCE' | 'TMS_NONCE'

/** What a portal's QR code says, or what was typed. */
export interface NoncePayload {
  readonly nonce: string
  readonly action: NonceAction
}

const actions: readonly NonceAction[] = ['LOGIN_NONCE', 'TMS_NONCE']

/**
 * Reads `countersign://nonce?v=1&server=…&tenant=…&nonce=…&action=…`, or a bare code as it was typed: blanks and hyphens do not
 * count.
 *
 * @param device whose code it has to be.
 * @param typedAction what a bare code is for.
 * @throws DeviceError `payload_invalid`; also for a code of another server or tenant.
 */
export function parseNoncePayload(
  text: string,
  device: { readonly server: string; readonly tenantId: string },
  typedAction: NonceAction = 'LOGIN_NONCE',
): NoncePayload {
  if (!text.includes(':')) {
    const nonce = text.replaceAll(/[\s-]/g, '')
    if (!/^([0-9A-Za-z]{8}|[0-9A-Za-z]{26})$/.test(nonce)) {
      throw invalidCode('This is no code of a portal.')
    }
    return { nonce, action: typedAction }
  }
  const parameters = new CodeParameters(text, 'nonce')
  if (parameters.server() !== device.server || parameters.tenantId() !== device.tenantId) {
    throw invalidCode('The code is for another server or tenant.')
  }
  const named = parameters.required('action', /^[A-Z_]{1,32}$/)
  const action = actions.find((known) => known === named)
  if (action === undefined) throw invalidCode('The code is for something this app does not know.')
  const nonce = parameters.required('nonce', /^([0-9A-Za-z]{8}|[0-9A-Za-z]{26})$/)
  return { nonce, action }
}
