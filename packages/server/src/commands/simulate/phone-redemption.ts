import type { Device } from '@countersign/device-sdk/device.ts'
import { DeviceError } from '@countersign/device-sdk/device-error.ts'
import type { Factor } from '@countersign/device-sdk/login.ts'
import type { NoncePayload } from '@countersign/device-sdk/nonce-payload.ts'
import type { NonceResult } from '@countersign/device-sdk/nonces.ts'
import { visibleLine } from '@countersign/device-sdk/visible-text.ts'
import type { PhoneSurroundings } from './phone-life.ts'

export interface PhoneRedemption {
  readonly phone: string
  readonly portal: string
  readonly action: string
  readonly status: 'REDEEMED' | 'DECLINED'
  readonly approvalId: string | undefined
}

const pinTriesMax = 3

/**
 * Shows whose code it is, by the server's word, asks, and redeems it with a factor.
 *
 * @throws DeviceError
 */
export async function redeemAtPortal(
  phone: string,
  device: Device,
  payload: NoncePayload,
  around: Omit<PhoneSurroundings, 'onDecision'> & { readonly signal: AbortSignal },
): Promise<PhoneRedemption> {
  const { prompt, habit, say, signal } = around
  const { action } = payload
  const { portal } = await device.nonces.preview(payload)
  const what = action === 'TMS_NONCE' ? 'log in and sign' : 'log in'
  say(`${phone}: ${what} at the portal`)
  prompt.show(visibleLine(portal))
  say(`${phone}: as ${device.userId} of ${device.tenantId}, by the server ${device.server}`)
  const told = { phone, portal, action }
  const isWanted =
    habit === 'ask' ? await prompt.confirm('Log in there?', signal) : habit === 'approve'
  if (!isWanted) return { ...told, status: 'DECLINED', approvalId: undefined }
  const { approvalId } = await redeemWithFactor(phone, device, payload, around)
  say(`${phone}: the portal is told`)
  return { ...told, status: 'REDEEMED', approvalId }
}

async function redeemWithFactor(
  phone: string,
  device: Device,
  payload: NoncePayload,
  { prompt, pin, say, signal }: Parameters<typeof redeemAtPortal>[3],
): Promise<NonceResult> {
  for (let tries = 1; ; tries++) {
    const factor: Factor = device.hasBioKey
      ? { type: 'bio' }
      : { type: 'pin', pin: pin ?? (await prompt.pin(signal)) }
    try {
      return await device.nonces.redeem(payload, factor)
    } catch (error) {
      const isWrongPin = error instanceof DeviceError && error.code === 'factor_rejected'
      if (!isWrongPin || pin !== undefined || tries >= pinTriesMax) throw error
      say(`${phone}: wrong; ${error.facts.attemptsLeft ?? 0} attempts left.`)
    }
  }
}
