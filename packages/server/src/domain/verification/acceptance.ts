import { recordRemoved } from '../otp-lists/associating.ts'
import { positionAt } from '../otp-lists/code-tags.ts'
import { reportList } from '../otp-lists/list-events.ts'
import { isRenewalDue, labelOf, listTarget } from '../otp-lists/otp-list.ts'
import { accepted, type Decision, rejected } from './decision.ts'
import { currentStep, type Evaluation, type ListTrial, type TokenTrial } from './evaluation.ts'
import type { CandidateList, ListCandidate } from './list-candidate.ts'
import { type Scene, whyNotSpent } from './scene.ts'
import type { MatchedCredential } from './verification.ts'

/** Spends the code that matched. The one who comes second is refused, and so is one who meets a lock. */
export async function accept(
  scene: Scene,
  { trial }: Extract<Evaluation, { kind: 'matched' }>,
): Promise<Decision> {
  const { stores, tenantId, nowMs, request } = scene
  const outcome =
    trial.kind === 'token' ? await spendToken(scene, trial) : await spendList(scene, trial)
  if ('result' in outcome) return outcome
  const { userId, userFailureCount, userLock } = trial.candidate
  if (userFailureCount > 0 || userLock.locked) {
    await stores.failures.clearUserFailures(tenantId, userId, nowMs)
  }
  if (request.isLogon === true) await stores.failures.setLastLogin(tenantId, userId, nowMs)
  return accepted(userId, outcome)
}

async function spendToken(
  scene: Scene,
  { candidate, finding }: TokenTrial,
): Promise<MatchedCredential | Decision> {
  const { stores, nowMs } = scene
  if (finding.position === undefined) throw new Error('A match without a position.')
  const limited = candidate.usageLimit > 0
  if (limited && !(await stores.spending.claimUse(candidate, nowMs))) {
    return rejected(candidate.userId, 'NO_USABLE_CREDENTIAL', undefined)
  }
  const step = currentStep(candidate, nowMs)
  if (!(await stores.spending.spend(candidate, finding.position, nowMs, step))) {
    if (limited) await stores.spending.returnUse(candidate)
    return whyNotSpent(scene, candidate)
  }
  if (candidate.failureCount > 0 || candidate.assignmentStatus === 'LOCKED') {
    await stores.failures.clearAssignmentFailures(candidate, nowMs)
  }
  return { kind: 'TOKEN', tokenId: candidate.tokenId, serial: candidate.serial }
}

async function spendList(
  scene: Scene,
  { candidate, finding: { list, slot } }: ListTrial,
): Promise<MatchedCredential | Decision> {
  const { stores, nowMs } = scene
  if (list === undefined || slot === undefined) throw new Error('A match without a place.')
  const spending = await stores.listSpending.spend(candidate, list, slot, nowMs)
  if (spending === 'lost') return whyNotSpent(scene, candidate)
  if (candidate.failureCount > 0 || candidate.lockedUntilMs !== null) {
    await stores.listSpending.clearFailures(candidate, nowMs)
  }
  if (spending === 'first') await takeOver(scene, candidate, list)
  const remaining = list.size - slot - 1
  const hasWaiting = candidate.waiting !== undefined && candidate.waiting !== list
  const renew = isRenewalDue(remaining, hasWaiting, candidate)
  const wasDue = list.status === 'ACTIVE' && isRenewalDue(list.remaining, hasWaiting, candidate)
  if (renew && !wasDue) await reportList(stores, 'otp-list.renew-due', candidate, list.id, nowMs)
  return {
    kind: 'LIST',
    listId: list.id,
    method: candidate.method,
    index: labelOf(list, positionAt(list.positions, slot)),
    remaining,
    renew,
  }
}

/** The first code of a list that waited: the list that was in use goes. */
async function takeOver(
  { stores, caller, nowMs }: Scene,
  candidate: ListCandidate,
  { id }: CandidateList,
): Promise<void> {
  const { tenantId, userId, method } = candidate
  const replaced = await stores.otpLists.removeOtherActive({ tenantId, userId, method, id })
  await recordRemoved(stores, caller, tenantId, replaced, 'REPLACED')
  await stores.journal.append(caller, tenantId, {
    action: 'otp-list.activated',
    target: listTarget(id),
    userId,
    detail: { method },
  })
  await reportList(stores, 'otp-list.activated', candidate, id, nowMs)
}
