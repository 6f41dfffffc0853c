import type { Endpoint } from './endpoint.ts'
import { instant } from './wire.ts'

/** Logs the user in at the portal that shows a nonce. */
export const redeemNonce: Endpoint<'redeemNonce'> = async ({ core, caller, body }) => {
  const { redeemedAtMs, approvalId } = await core.nonceRedemptions.redeem(caller, body)
  return {
    status: 200,
    body: {
      redeemedAt: instant(redeemedAtMs),
      ...(approvalId === undefined ? {} : { approvalId }),
    },
  }
}

/** Says whose nonce it is, before the user is asked. */
export const previewNonce: Endpoint<'previewNonce'> = async ({ core, caller, body }) => {
  const { portal, expiresAtMs } = await core.noncePreviews.preview(caller, body)
  return { status: 200, body: { portal, expiresAt: instant(expiresAtMs) } }
}
