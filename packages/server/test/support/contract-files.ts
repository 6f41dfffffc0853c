import { type Contract, loadContract } from '#http/contract.ts'

/** Every surface that has a contract. */
export const surfaceNames = [
  'platform',
  'device',
  'ast',
  'dualshield',
  'otp-server',
  'keyless',
  'okm',
] as const
export type ContractName = (typeof surfaceNames)[number]

export const surfacesFolder = new URL('../../src/surfaces/', import.meta.url)

export function contractOf(name: ContractName): Contract {
  return loadContract(name, new URL(`${name}/contract.openapi.yaml`, surfacesFolder))
}
