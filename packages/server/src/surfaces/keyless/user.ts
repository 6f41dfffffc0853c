import { onceOnlyScheme } from '#domain/users/identifier.ts'
import { customerOf, type Endpoint } from './endpoint.ts'
import { noStore, success } from './wire.ts'

/** Deletes a user with everything that is the user's. */
export const deleteUser: Endpoint<'deleteUser'> = async ({ core, caller, params }) => {
  const named = { scheme: onceOnlyScheme, value: params.userId }
  await core.users.deleteNamed(caller, customerOf(caller), named)
  return { status: 200, headers: noStore, body: success }
}
