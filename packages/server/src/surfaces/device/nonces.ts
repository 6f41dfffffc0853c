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
