import { noStore, showCredential } from './credential.ts'
import type { Endpoint } from './endpoint.ts'
import { showTime } from './wire.ts'

/** Tells what a link delivers, and spends nothing. */
export const provisionInspect: Endpoint<'provisionInspect'> = async ({ core, params }) => {
  const { productName, serial, expiresAtMs } = await core.credentials.describe(params.ticket)
  return {
    status: 200,
    headers: noStore,
    body: {
      error: 0,
      result: { product: productName, serial, expires: showTime(expiresAtMs) },
    },
  }
}

/** Gives the credential to whoever comes first with the link. */
export const provisionRedeem: Endpoint<'provisionRedeem'> = async ({ core, caller, params }) => {
  const credential = await core.credentials.redeem(caller, params.ticket)
  return {
    status: 200,
    headers: noStore,
    body: { error: 0, result: showCredential(credential) },
  }
}
