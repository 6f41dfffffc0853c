import { type Config, publicUrlOf } from '../config.ts'
import { readSettings } from './settings.ts'
import type { Terminal } from './terminal.ts'

/** Prints the settings that the environment gives; of secrets only whether they are there. */
export async function configCheck(terminal: Terminal): Promise<void> {
  const { config, secrets, warnings } = readSettings()
  for (const warning of warnings) terminal.note(`warning: ${warning}`)
  const effective = {
    ...config,
    publicUrl: publicUrlOf(config, config.port),
    trustProxy: config.trustProxy.map(String),
    outboundAllow: printable(config.outboundAllow),
    pushAllow: printable(config.pushAllow),
    okmDeviceTrust:
      config.okmDeviceTrust.kind === 'allowlist'
        ? { kind: 'allowlist', ranges: config.okmDeviceTrust.ranges.map(String) }
        : config.okmDeviceTrust,
    databaseUrl: secrets.databaseUrl,
    masterKey: secrets.masterKey ?? null,
    adminToken: secrets.adminToken ?? null,
    metricsToken: secrets.metricsToken ?? null,
  }
  const lines = Object.entries(effective).map(
    ([name, value]) => `${name}: ${JSON.stringify(value ?? null)}`,
  )
  terminal.result({ valid: true, config: effective, warnings }, lines)
}

function printable({ hosts, ranges }: Config['outboundAllow']) {
  return { hosts, ranges: ranges.map(String) }
}
