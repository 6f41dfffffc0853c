import { writeXml } from '#http/xml.ts'
import { userElement } from './elements.ts'
import { type Endpoint, tenantOf } from './endpoint.ts'
import { namedUser } from './parameters.ts'
import { noStore } from './wire.ts'

/** Looks up the lists of a user. Who has none does not exist for this API. */
export const queryUserInfo: Endpoint<'queryUserInfo'> = async ({ core, caller, params, query }) => {
  const named = namedUser(query)
  const wanted = { method: params['method-name'], user: named.reference }
  const info = await core.otpLists.userInfo(caller, tenantOf(caller), wanted)
  if (info === undefined) return { status: 204 }
  return { status: 200, headers: noStore, body: writeXml(userElement(info, named)) }
}
