import type { AppFacts, DeviceFacts, LinkedDevice } from './device.ts'

/** What a device brings to enrol; shapes as in the contract. */
export interface EnrolmentRequest {
  readonly code: string
  /** Key statement, signed by the device key. */
  readonly proof: string
  /** The same, signed by the biometric key. */
  readonly bioProof?: string | undefined
  readonly pin?: string | undefined
  readonly app: AppFacts
  readonly device: Partial<DeviceFacts>
  readonly pushToken?: string | undefined
  readonly locales?: readonly string[] | undefined
}

export interface LinkRequest {
  readonly code: string
  readonly proof: string
  readonly bioProof?: string | undefined
  readonly pin?: string | undefined
}

/** A device as it stands after its enrolment. */
export interface EnrolledDevice {
  readonly device: LinkedDevice
  /** Whom the code was for. */
  readonly userId: string
  /** True when the first answer is given again. */
  readonly isRepeat: boolean
}
