import { decodeBase64, encodeBase64 } from '@countersign/protocol/encoding/base64.ts'
import { writeSignedData } from '@countersign/protocol/message/signed-data.ts'
import { Answer, listOf } from './answer.ts'
import { type ApprovalContent, readContent } from './approval-content.ts'
import type { DeviceCertificates } from './certificates.ts'
import { decisionAssertion, type FactorProof, factorProof } from './decision-assertion.ts'
import { DeviceError } from './device-error.ts'
import type { DeviceMemory } from './device-memory.ts'
import type { DeviceLogin, Factor } from './login.ts'
import { derSignerOf } from './signing-key.ts'
import { sha256 } from './web-crypto.ts'

const statuses = ['PENDING', 'RETRIEVED', 'APPROVED', 'REJECTED', 'EXPIRED', 'CANCELLED'] as const
const kinds = ['TRANSACTION', 'MESSAGE'] as const

/** An approval that waits. */
export interface ApprovalSummary {
  readonly approvalId: string
  readonly kind: (typeof kinds)[number]
  readonly status: (typeof statuses)[number]
  readonly createdAtMs: number
  readonly expiresAtMs: number | undefined
  readonly reference: string | undefined
}

/** What an acceptance must bring. */
export interface ApprovalRequirements {
  /** CMS: a signature under a certificate; FACTOR: PIN or biometric key; NONE: a message, nothing to decide. */
  readonly evidence: 'CMS' | 'FACTOR' | 'NONE'
  readonly factor: 'pin' | 'bio' | undefined
  readonly scope: string | undefined
  readonly authTimeAtLeast: number | undefined
}

/** An approval as this device retrieved it: decide with the same object, so that what was shown is what is signed. */
export interface Approval extends ApprovalSummary {
  readonly remainingSeconds: number | undefined
  readonly requirements: ApprovalRequirements
  /** Absent when it was final before this device retrieved it. */
  readonly content: ApprovalContent | undefined
  readonly challenge: string | undefined
}

export interface AcceptOptions {
  /** Needed when the requirements ask for a factor, a scope or a fresh login. */
  readonly factor?: Factor | undefined
  /** Becomes the claim `td` of the JWT that the answer holds; show it to the user. FACTOR only. */
  readonly transactionData?: string | undefined
}

export interface RejectOptions {
  readonly reason?: 'user' | 'suspicious' | 'client_failure'
  readonly message?: string
  /** Signed by the device key, so that the refusal can be proven; default true. */
  readonly isSigned?: boolean
}

export interface DecisionResult {
  readonly status: 'APPROVED' | 'REJECTED' | 'EXPIRED'
  readonly completedAtMs: number
  readonly signedJwt: string | undefined
}

const idPattern = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/
const rememberedMax = 200
const base = '/device/v1/approvals'

/** What waits for one user on this device, and the decisions about it. */
export class DeviceApprovals {
  readonly #memory: DeviceMemory
  readonly #login: DeviceLogin
  readonly #certificates: DeviceCertificates
  readonly #userId: string
  /** Hash of the content by approval: the bytes are frozen, so later retrievals must repeat them. */
  readonly #seen = new Map<string, string>()

  constructor(
    memory: DeviceMemory,
    login: DeviceLogin,
    certificates: DeviceCertificates,
    userId: string,
  ) {
    this.#memory = memory
    this.#login = login
    this.#certificates = certificates
    this.#userId = userId
  }

  /** Undecided approvals and messages that were not retrieved, oldest first, at most 100. Retrieves nothing. */
  async list(): Promise<readonly ApprovalSummary[]> {
    const { body } = await this.#login.call({ method: 'GET', path: base })
    return listOf(body).map(summaryOf)
  }

  /**
   * Retrieves what is to be shown and signed; of a transaction it starts the time to decide.
   *
   * @param locale BCP 47, overrides the device's.
   * @throws DeviceError `content_wrong` also when an earlier retrieval brought other bytes.
   */
  async retrieve(approvalId: string, locale?: string): Promise<Approval> {
    if (!idPattern.test(approvalId)) throw new DeviceError('not_found', 'This is no approval.')
    const { body } = await this.#login.call({
      method: 'GET',
      path: `${base}/${approvalId}`,
      ...(locale === undefined ? {} : { headers: { 'accept-language': locale } }),
    })
    const answer = new Answer(body)
    const summary = summaryOf(answer)
    if (summary.approvalId !== approvalId || answer.text('userId') !== this.#userId) {
      throw new DeviceError('content_wrong', 'The server answered with another approval.')
    }
    const content = answer.optionalObject('content')
    const read = content === undefined ? undefined : await readContent(content, approvalId)
    this.#requireSame(approvalId, read)
    const requirements = answer.object('requirements')
    return {
      ...summary,
      remainingSeconds: answer.optionalNumber('remainingSeconds'),
      requirements: {
        evidence: requirements.oneOf('evidence', ['CMS', 'FACTOR', 'NONE']),
        factor: factorOf(requirements.optionalText('factor')),
        scope: requirements.optionalText('scope', /^[\x21\x23-\x5B\x5D-\x7E]{1,64}$/),
        authTimeAtLeast: requirements.optionalNumber('authTimeAtLeast'),
      },
      content: read,
      challenge: answer.optionalText('challenge', /^[A-Za-z0-9_-]{43}$/),
    }
  }

  /**
   * Accepts: logs in first where the approval asks for a scope or a fresh verification, then signs exactly the bytes that
   * were retrieved.
   *
   * @throws DeviceError `no_factor` when one is needed and none was given; `no_certificate` for CMS without one.
   */
  async accept(approval: Approval, options: AcceptOptions = {}): Promise<DecisionResult> {
    const content = contentOf(approval)
    const { requirements } = approval
    await this.#prepareLogin(requirements, options.factor)
    if (requirements.evidence === 'CMS') {
      return this.#decide(approval, async () => ({
        decision: 'accept',
        signedData: await this.#sign(content.bytes),
      }))
    }
    const { factor, transactionData } = options
    if (factor === undefined || (requirements.factor ?? factor.type) !== factor.type) {
      throw new DeviceError(
        'no_factor',
        `This approval needs ${requirements.factor ?? 'a factor'}.`,
      )
    }
    return this.#decide(approval, async () => ({
      decision: 'accept',
      factor: await this.#proof(factor, approval, transactionData),
      transactionData,
    }))
  }

  /** Rejects; no factor is needed. */
  async reject(approval: Approval, options: RejectOptions = {}): Promise<DecisionResult> {
    const { reason, message, isSigned = true } = options
    const { deviceKey } = this.#memory
    return this.#decide(approval, async () => ({
      decision: 'reject',
      reason,
      message,
      assertion: isSigned
        ? await decisionAssertion(this.#memory, this.#userId, deviceKey, {
            nonce: challengeOf(approval),
            decision: 'reject',
            approvalId: approval.approvalId,
            reference: approval.reference,
            payloadHash: contentOf(approval).sha256,
          })
        : undefined,
    }))
  }

  /** Tells that the user did not answer in time. */
  async timeOut(approval: Approval): Promise<DecisionResult> {
    return this.#decide(approval, async () => ({ decision: 'timeout' }))
  }

  async #prepareLogin(
    { scope, authTimeAtLeast }: ApprovalRequirements,
    factor: Factor | undefined,
  ): Promise<void> {
    const session = this.#login.session
    const lacksScope = scope !== undefined && session?.scopes.includes(scope) !== true
    // Without a login the user's last verification is not known; a new one suffices always.
    const isOld = authTimeAtLeast !== undefined && (session?.authTimeSeconds ?? 0) < authTimeAtLeast
    if (!lacksScope && !isOld) return
    if (factor === undefined) {
      throw new DeviceError('no_factor', 'This approval needs a fresh PIN or biometric check.')
    }
    await this.#login.login({ factor, scope })
  }

  async #sign(bytes: Uint8Array): Promise<string> {
    const kept = this.#certificates.find('SIGNATURE') ?? this.#certificates.find('AST_DEVICE')
    if (kept === undefined) {
      throw new DeviceError('no_certificate', 'This approval is signed under a certificate.')
    }
    const key = await this.#memory.key(kept.key)
    const [leaf, ...chain] = [kept.certificate, ...kept.chain].map((text) => {
      const der = decodeBase64(text)
      if (der === undefined) throw new DeviceError('storage_damaged', 'A certificate is damaged.')
      return der
    })
    if (leaf === undefined) throw new DeviceError('no_certificate', 'There is no certificate.')
    const signed = await writeSignedData(
      { content: bytes, leaf, chain, signingTimeMs: this.#memory.link.nowMs },
      { sha256, sign: derSignerOf(key) },
    )
    return encodeBase64(signed)
  }

  async #proof(
    factor: Factor,
    approval: Approval,
    transactionData: string | undefined,
  ): Promise<FactorProof> {
    return factorProof(this.#memory, this.#userId, factor, {
      nonce: challengeOf(approval),
      approvalId: approval.approvalId,
      reference: approval.reference,
      payloadHash: contentOf(approval).sha256,
      transactionData,
    })
  }

  async #decide(approval: Approval, body: () => Promise<object>): Promise<DecisionResult> {
    const { body: result } = await this.#login.call({
      method: 'POST',
      path: `${base}/${approval.approvalId}/decision`,
      body,
    })
    const answer = new Answer(result)
    return {
      status: answer.oneOf('status', ['APPROVED', 'REJECTED', 'EXPIRED']),
      completedAtMs: answer.time('completedAt'),
      signedJwt: answer.optionalText('signedJwt'),
    }
  }

  #requireSame(approvalId: string, content: ApprovalContent | undefined): void {
    if (content === undefined) return
    const seen = this.#seen.get(approvalId)
    if (seen !== undefined && seen !== content.sha256) {
      throw new DeviceError('content_wrong', 'The content is not the one that was shown before.')
    }
    this.#seen.set(approvalId, content.sha256)
    const [oldest] = this.#seen.keys()
    if (this.#seen.size > rememberedMax && oldest !== undefined) this.#seen.delete(oldest)
  }
}

function summaryOf(answer: Answer): ApprovalSummary {
  return {
    approvalId: answer.text('approvalId', idPattern),
    kind: answer.oneOf('kind', kinds),
    status: answer.oneOf('status', statuses),
    createdAtMs: answer.time('createdAt'),
    expiresAtMs: answer.optionalTime('expiresAt'),
    reference: answer.optionalText('reference', /^[\x21-\x7E]{1,255}$/),
  }
}

function factorOf(text: string | undefined): 'pin' | 'bio' | undefined {
  if (text === undefined || text === 'pin' || text === 'bio') return text
  throw new DeviceError('answer_invalid', 'The approval asks for a factor that is not known.')
}

function contentOf({ content }: Approval): ApprovalContent {
  if (content === undefined) {
    throw new DeviceError('approval_final', 'There is nothing to decide about.')
  }
  return content
}

function challengeOf({ challenge }: Approval): string {
  if (challenge === undefined) throw new DeviceError('answer_invalid', 'There is no challenge.')
  return challenge
}
