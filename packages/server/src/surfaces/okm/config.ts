import type { PollAnswer, PollReport, UserSelector } from '#domain/cabinets/poll.ts'
import type { Caller } from '#domain/callers/caller.ts'
import type { Core } from '#domain/core.ts'
import { toAclUser } from './acl.ts'
import type { Operations, Schemas } from './contract.gen.ts'
import type { Endpoint } from './endpoint.ts'
import { deviceAddresses, fromLooseInstant, toInstant } from './wire.ts'

type PollQuery = Operations['pollOkmConfig']['query']

/** Answers a heartbeat with one setting that differs. */
export const pollOkmConfig: Endpoint<'pollOkmConfig'> = ({ core, caller, params, query }) =>
  poll(core, caller, { serial: params.serialNumber, isBurntInPath: false, query })

/** The same on the path that is burnt into cabinets, which also tells the path that is to be used. */
export const pollOkmConfigLegacy: Endpoint<'pollOkmConfigLegacy'> = ({
  core,
  caller,
  params,
  query,
}) => poll(core, caller, { serial: params.serialNumber, isBurntInPath: true, query })

/** What one user may open, for a cabinet that holds no lists. */
export const fetchOkmUserAssets: Endpoint<'fetchOkmUserAssets'> = async ({
  core,
  caller,
  params,
  body,
}) => {
  const selector = fromUserAssetsRequest(body)
  const { locks, user } = await core.cabinetPolls.fetchUser(caller, params.serialNumber, selector)
  return { status: 200, body: { assetList: locks, user: toAclUser(user) } }
}

async function poll(
  core: Core,
  caller: Caller,
  call: { readonly serial: string; readonly isBurntInPath: boolean; readonly query: PollQuery },
): Promise<
  { readonly status: 204 } | { readonly status: 200; readonly body: Schemas['ConfigUpdate'] }
> {
  const { serial, isBurntInPath, query } = call
  const answer = await core.cabinetPolls.poll(caller, {
    serial,
    isBurntInPath,
    ...deviceAddresses,
    report: fromPollQuery(query),
  })
  return answer === undefined ? { status: 204 } : { status: 200, body: toConfigUpdate(answer) }
}

/*
 * How a cabinet writes its settings into the query, and how it reads an answer, is not published beyond the names of the
 * parameters. A trace of a real device replaces the three functions below and nothing else.
 */

function fromPollQuery({ kasDateTime, cacheMode, pinMode, auditEnabled, ...query }: PollQuery) {
  return {
    ...query,
    kasDateTimeMs: kasDateTime === undefined ? undefined : fromDeviceClock(kasDateTime),
    cacheMode: fromFlag(cacheMode),
    pinMode: fromFlag(pinMode),
    auditEnabled: fromFlag(auditEnabled),
  } satisfies PollReport
}

/** Unix seconds or ISO 8601; a `+` that was not encoded arrives as a blank. */
function fromDeviceClock(text: string): number {
  if (/^\d{1,11}$/.test(text)) return Number(text) * 1000
  const instant = text.replace(/(:\d{2}(?:\.\d+)?) (\d{2}:?\d{2})$/, '$1+$2')
  return fromLooseInstant(instant, 'query:kasDateTime')
}

function toConfigUpdate(answer: PollAnswer): Schemas['ConfigUpdate'] {
  switch (answer.name) {
    case 'kasDateTime':
      return { kasDateTime: toInstant(answer.valueMs) }
    case 'usersAssets':
      return { usersAssets: answer.value.map(toAclUser) }
    default:
      return { [answer.name]: answer.value }
  }
}

function fromFlag(text: '0' | '1' | 'true' | 'false' | undefined): boolean | undefined {
  return text === undefined ? undefined : text === '1' || text === 'true'
}

function fromUserAssetsRequest(body: Schemas['UserAssetsRequest']): UserSelector {
  return 'user_id' in body ? { userId: body.user_id } : { pinHash: body.pin_hash }
}
