/** What an app runs on. Every tenant has the same ones: no operation makes any. */
const architecturesOf: Readonly<Record<string, readonly string[]>> = {
  Android: ['arm', 'arm64', 'x86', 'x86_64'],
  HarmonyOS: ['arm64', 'x86_64'],
  iOS: ['arm64', 'x86_64'],
  Linux: ['arm', 'arm64', 'x86', 'x86_64'],
  MacOS: ['arm64', 'x86_64'],
  Node: [],
  Web: [],
  Windows: ['arm64', 'x86', 'x86_64'],
}

/** Of what is one and the same everywhere: scripts, and programs for several processors in one file. */
const anyArchitecture = 'any'

/** By name. */
export const platforms: readonly string[] = Object.keys(architecturesOf)

/** Names are compared as they are written. @returns undefined for an unknown platform. */
export function listArchitecturesOf(platform: string): readonly string[] | undefined {
  if (!Object.hasOwn(architecturesOf, platform)) return undefined
  return [anyArchitecture, ...(architecturesOf[platform] ?? [])]
}
