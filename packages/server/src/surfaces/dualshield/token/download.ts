import type { Schemas } from '../contract.gen.ts'
import { noStore, showCredential } from '../credential.ts'
import type { Endpoint } from '../endpoint.ts'
import { type Agent, findToken, findUser, tenantOf } from '../references.ts'
import { showTime } from '../wire.ts'

/** Issues a link with which the user's device fetches the credential, once. */
export const tokenGetDownloadUrl: Endpoint<'tokenGetDownloadUrl'> = async ({
  core,
  caller,
  body,
}) => {
  const { provisioningUrl } = body
  const target = await findTarget({ core, caller }, body)
  const { ticket, expiresAtMs } = await core.credentials.issueTicket(caller, tenantOf(caller), {
    ...target,
    provisioningUrl,
  })
  const base = provisioningUrl ?? `${core.publicUrl()}/dualshield/provision`
  return {
    status: 200,
    headers: noStore,
    body: {
      error: 0,
      result: { url: linkTo(base, ticket), expires: showTime(expiresAtMs) },
    },
  }
}

/** Gives the credential itself to the agent. */
export const tokenRetrieveCredential: Endpoint<'tokenRetrieveCredential'> = async ({
  core,
  caller,
  body,
}) => {
  const target = await findTarget({ core, caller }, body)
  const credential = await core.credentials.retrieve(caller, tenantOf(caller), target)
  return {
    status: 200,
    headers: noStore,
    body: { error: 0, result: showCredential(credential) },
  }
}

async function findTarget(
  agent: Agent,
  { token, user }: Schemas['TokenDownloadRequest'],
): Promise<{ tokenId: string; userId?: string }> {
  const tokenId = await findToken(agent, 'token', token)
  if (user === undefined) return { tokenId }
  return { tokenId, userId: (await findUser(agent, 'user', user)).key }
}

/** The ticket becomes the last part of the path; what else the base says stays. */
function linkTo(base: string, ticket: string): string {
  const url = new URL(base)
  url.pathname = `${url.pathname.replace(/\/$/, '')}/${ticket}`
  return url.href
}
