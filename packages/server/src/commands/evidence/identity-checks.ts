import {
  type Certificate,
  extensionOf,
  isSignedBy,
  parseCertificate,
} from '@countersign/protocol/certificate/certificate.ts'
import {
  readCrlDistributionPoint,
  readIssuingDistributionPoint,
} from '@countersign/protocol/certificate/extensions.ts'
import { readName } from '@countersign/protocol/certificate/name.ts'
import { oids } from '@countersign/protocol/certificate/oids.ts'
import { findPathFault } from '@countersign/protocol/certificate/path.ts'
import { jwkFromSpki } from '@countersign/protocol/certificate/public-key.ts'
import {
  parseRevocationList,
  type RevocationList,
} from '@countersign/protocol/certificate/revocation-list.ts'
import { DerError } from '@countersign/protocol/der/der-reader.ts'
import { sameBytes } from '@countersign/protocol/der/der-writer.ts'
import { readDeviceJws } from '@countersign/protocol/message/device-jws.ts'
import {
  importEcPublicJwk,
  jwkThumbprint,
  verifyEs256,
} from '@countersign/protocol/message/es256.ts'
import { EcdsaVerifier } from '#custody/key-custody.ts'
import { secretsEqual, sha256Hex } from '#custody/secrets.ts'
import type { DeviceSignature, EvidenceDocument } from './evidence-file.ts'
import type { Findings } from './findings.ts'

/** What a verifier got otherwise than from the evidence. */
export interface TrustedFacts {
  /** SHA-256 of the root certificate, hex. */
  readonly anchorHash: string | undefined
  /** Thumbprint of the device key, as `device.enrolled` told it. */
  readonly deviceKey: string | undefined
}

const listBytesMax = 8_388_608
const { verify } = new EcdsaVerifier()

/** Whose key it is: certificate, chain and revocation, or a key that is known otherwise; a biometric key by its statement. */
export async function checkIdentity(
  findings: Findings,
  name: string,
  evidence: EvidenceDocument,
  signature: DeviceSignature,
  trusted: TrustedFacts,
): Promise<void> {
  const chain = readChain(signature.certificateChain)
  if (chain === undefined) {
    findings.fail(`${name}.certificate`, 'The chain holds something that is no certificate.')
    return
  }
  const [leaf] = chain
  const keyOfLeaf = leaf && jwkThumbprint(jwkFromSpki(leaf.publicKey))
  const own = jwkThumbprint(signature.publicKey)
  const deviceKey = signature.signer === 'USER_KEY' ? stated(findings, name, evidence, own) : own
  checkPin(findings, name, trusted, deviceKey)
  if (leaf === undefined) {
    if (trusted.deviceKey === undefined) {
      findings.miss(
        `${name}.certificate`,
        'The key has no certificate: give its thumbprint from device.enrolled with --device-key.',
      )
    }
    return
  }
  // A SIGNATURE certificate is over the biometric key itself.
  const isOver = keyOfLeaf === own || (signature.signer === 'USER_KEY' && keyOfLeaf === deviceKey)
  const { organization, commonName, userId } = namesOf(leaf)
  const isTheirs =
    isOver &&
    organization === evidence.tenantId &&
    commonName === evidence.deviceId &&
    userId === evidence.userId
  findings.check(`${name}.certificate`, isTheirs, {
    good: `The certificate is for user ${userId} on device ${commonName}.`,
    bad: 'The certificate is for another key, tenant, device or user.',
  })
  await checkPath(findings, name, { chain, atMs: evidence.decidedAt, trusted })
  await checkRevocation(findings, name, { chain, evidence })
}

/** The device key that a key statement ties the biometric key to; undefined when it does not. */
function stated(
  findings: Findings,
  name: string,
  { keyStatement }: EvidenceDocument,
  bioKey: string,
): string | undefined {
  const check = `${name}.key-statement`
  if (keyStatement === null) {
    findings.miss(
      check,
      'The evidence has no statement that ties the biometric key to a device key.',
    )
    return undefined
  }
  const jws = readDeviceJws('keys', keyStatement)
  const key = jws?.jwk && importEcPublicJwk(jws.jwk)
  const isSigned =
    jws !== undefined && key !== undefined && verifyEs256(key, jws.signingInput, jws.signature)
  const deviceKey = jws?.jwk && jwkThumbprint(jws.jwk)
  const holds = isSigned && jws.claims.bioJkt === bioKey && jws.claims.deviceJkt === deviceKey
  findings.check(check, holds, {
    good: 'The device key has signed that this biometric key belongs to it.',
    bad: 'The statement is not signed by the device key it names, or is about another key.',
  })
  return holds ? deviceKey : undefined
}

function checkPin(
  findings: Findings,
  name: string,
  { deviceKey: pinned }: TrustedFacts,
  deviceKey: string | undefined,
): void {
  if (pinned === undefined) return
  findings.check(`${name}.device-key`, deviceKey === pinned, {
    good: 'The device key is the one that was given.',
    bad: 'The device key is not the one that was given.',
  })
}

async function checkPath(
  findings: Findings,
  name: string,
  path: { chain: readonly Certificate[]; atMs: number; trusted: TrustedFacts },
): Promise<void> {
  const check = `${name}.chain`
  const { chain, atMs, trusted } = path
  const root = chain.at(-1)
  if (trusted.anchorHash === undefined || root === undefined) {
    findings.miss(check, 'No trust anchor was given: use --anchor.')
    return
  }
  if (!secretsEqual(sha256Hex(root.der), trusted.anchorHash)) {
    findings.fail(check, 'The chain ends at another root than the trust anchor.')
    return
  }
  const fault = await findPathFault({
    path: chain,
    anchors: [root.der],
    atMs,
    leaf: { keyUsage: 'digitalSignature' },
    verify,
  })
  findings.check(check, fault === undefined, {
    good: 'The chain led to the trust anchor when the decision was made.',
    bad: `The chain does not hold: ${fault}.`,
  })
}

/** Every certificate below the root, against the list of whoever issued it. */
async function checkRevocation(
  findings: Findings,
  name: string,
  { chain, evidence }: { chain: readonly Certificate[]; evidence: EvidenceDocument },
): Promise<void> {
  const check = `${name}.revocation`
  const lists = readLists(evidence.crls)
  if (lists === undefined) {
    findings.fail(check, 'A revocation list is malformed.')
    return
  }
  // Lists count whole seconds.
  const decidedSecondMs = Math.floor(evidence.decidedAt / 1000) * 1000
  let isCovered = true
  for (const [index, certificate] of chain.slice(0, -1).entries()) {
    const issuer = chain[index + 1] as Certificate
    const list = await listFor(lists, certificate, issuer)
    if (list === undefined) {
      findings.miss(check, `There is no revocation list for certificate ${index + 1} of the chain.`)
      return
    }
    const entry = list.entries.find(({ serial }) => sameBytes(serial, certificate.serial))
    // Within one second the server's own order counts: it takes no decision after a revocation.
    if (entry !== undefined && entry.revokedAtMs < decidedSecondMs) {
      findings.fail(check, `Certificate ${index + 1} of the chain was revoked before the decision.`)
      return
    }
    isCovered &&= list.thisUpdateMs >= decidedSecondMs
  }
  if (!isCovered) {
    findings.miss(check, 'A revocation list is older than the decision.')
    return
  }
  findings.check(check, true, { good: 'Nothing was revoked before the decision.', bad: '' })
}

async function listFor(
  lists: readonly RevocationList[],
  certificate: Certificate,
  issuer: Certificate,
): Promise<RevocationList | undefined> {
  for (const list of lists) {
    const isIssuers = sameBytes(list.issuer, issuer.subject)
    if (!isIssuers || !coversPart(list, certificate)) continue
    if (await isSignedBy(list, issuer.publicKey, verify)) return list
  }
  return undefined
}

/** A list of a part of the certificates says by its address of which. */
function coversPart({ extensions }: RevocationList, certificate: Certificate): boolean {
  const part = extensions.find(({ id }) => id === oids.issuingDistributionPoint)
  if (part === undefined) return true
  const point = extensionOf(certificate, oids.crlDistributionPoints)
  try {
    return (
      point !== undefined &&
      readIssuingDistributionPoint(part.value) === readCrlDistributionPoint(point.value)
    )
  } catch (error) {
    if (error instanceof DerError) return false
    throw error
  }
}

function readChain(chain: readonly Uint8Array[]): Certificate[] | undefined {
  return orUndefined(() => chain.map(parseCertificate))
}

function readLists(crls: readonly Uint8Array[]): RevocationList[] | undefined {
  return orUndefined(() => crls.map((der) => parseRevocationList(der, listBytesMax)))
}

function namesOf(leaf: Certificate): ReturnType<typeof readName> {
  return orUndefined(() => readName(leaf.subject)) ?? {}
}

function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read()
  } catch (error) {
    if (error instanceof DerError) return undefined
    throw error
  }
}
