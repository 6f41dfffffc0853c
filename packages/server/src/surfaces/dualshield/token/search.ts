import type { Endpoint } from '../endpoint.ts'
import { getObject, searchObjects } from '../objects.ts'

/** One token. */
export const tokenGet: Endpoint<'tokenGet'> = async ({ core, caller, body }) => ({
  status: 200,
  body: { error: 0, result: await getObject({ core, caller }, 'token', body) },
})

/** One page of the tokens that match. */
export const tokenSearch: Endpoint<'tokenSearch'> = async ({ core, caller, body }) => ({
  status: 200,
  body: { error: 0, result: await searchObjects({ core, caller }, 'token', body) },
})
