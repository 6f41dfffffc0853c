import { describe, expect, test } from 'vitest'
import { toFieldProblems } from './faults.ts'

describe('faults in the notation of this surface', () => {
  test.each([
    ['/users/0/permissions', 'users[0].permissions'],
    ['query:page', 'page'],
    ['', 'body'],
    ['/aclOkmId', 'id'],
    ['/a~1b', 'a/b'],
    // Members that every object has are names like others.
    ['/constructor', 'constructor'],
    ['/toString', 'toString'],
  ])('%s is %s', (pointer, field) => {
    const fault = { pointer, code: 'unknown_member', message: 'is not known here' }
    expect(toFieldProblems([fault], undefined)).toMatchObject([{ field }])
  })
})
