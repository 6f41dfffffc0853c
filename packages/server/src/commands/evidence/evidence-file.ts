import { readFileSync, statSync } from 'node:fs'
import { decodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import { JsonError, parseJson } from '@countersign/protocol/encoding/json.ts'
import { z } from 'zod'
import { CommandError, exitCodes } from '../failure.ts'

/** Revocation lists make it long, never this long. */
const fileBytesMax = 16_777_216
const chainLengthMax = 5

const bytes = z.string().transform((text, context): Uint8Array => {
  const decoded = decodeBase64(text)
  if (decoded === undefined) context.addIssue({ code: 'custom', message: 'is not base64' })
  return decoded ?? new Uint8Array()
})
/** What is told to people may not write on their terminal. */
const plain = z
  .string()
  .max(512)
  .regex(/^\P{Cc}*$/u)
const sha256 = z.string().regex(/^[0-9a-f]{64}$/)
const ecKey = z.strictObject({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: z.string(),
  y: z.string(),
})
const rsaKey = z.strictObject({ kty: z.literal('RSA'), n: z.string(), e: z.string() })
const common = {
  signedBytes: bytes,
  signature: z.string().min(1),
  certificateChain: z.array(bytes).max(chainLengthMax),
}
const deviceSignature = z.strictObject({
  signer: z.enum(['DEVICE_KEY', 'USER_KEY']),
  format: z.enum(['CMS', 'JWS']),
  publicKey: ecKey,
  ...common,
})
const serverSignature = z.strictObject({
  signer: z.literal('SERVER_KEY'),
  format: z.literal('JWS'),
  publicKey: rsaKey,
  ...common,
})

const evidence = z.strictObject({
  approvalId: plain,
  reference: plain.nullable(),
  tenantId: plain,
  userId: plain,
  deviceId: plain,
  decision: z.enum(['APPROVED', 'REJECTED']),
  factor: z.enum(['PIN', 'BIOMETRIC', 'POSSESSION']),
  decidedAt: z.iso.datetime().transform((text) => Date.parse(text)),
  content: z.strictObject({ mediaType: plain, bytes, sha256, locale: plain.optional() }),
  signatures: z
    .array(z.union([deviceSignature, serverSignature]))
    .min(1)
    .max(3),
  transactionData: z.string().nullable(),
  keyStatement: z.string().nullable(),
  crls: z.array(bytes).max(chainLengthMax),
  auditRecord: z.record(z.string(), z.json()).nullable(),
  checkpoint: z.string().nullable(),
})

/** Evidence as `getApprovalEvidence` answers it, bytes decoded. */
export type EvidenceDocument = z.infer<typeof evidence>
export type DeviceSignature = z.infer<typeof deviceSignature>
export type ServerSignature = z.infer<typeof serverSignature>

/** @throws CommandError 65 for a file that is no evidence; nothing of it is guessed. */
export function readEvidence(path: string): EvidenceDocument {
  if (statSync(path).size > fileBytesMax) throw malformed(path, 'is too large')
  const parsed = evidence.safeParse(parse(path))
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw malformed(path, `${issue?.path.join('.') || 'document'}: ${issue?.message ?? 'malformed'}`)
}

function parse(path: string): unknown {
  try {
    return parseJson(readFileSync(path))
  } catch (error) {
    if (error instanceof JsonError) throw malformed(path, error.message)
    throw error
  }
}

function malformed(path: string, why: string): CommandError {
  return new CommandError(exitCodes.badData, `${path} is not evidence of an approval: ${why}`)
}
