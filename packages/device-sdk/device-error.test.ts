import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { DeviceError } from './device-error.ts'

const companion = new URL('../../docs/contracts/device.md', import.meta.url)

/** Codes of the table in section 14 with what it says. */
const table = readFileSync(companion, 'utf8')
  .split('## 14')[1]
  ?.split('\n')
  .filter((line) => /^\| [a-z_, ]+ \|/.test(line))
  .map((line) => line.split('|').map((cell) => cell.trim()))
const advices = {
  'log in again': 'log_in',
  "erase the user's data, ask for a new code": 'erase',
  'tell the user, stop; retry slowly': 'stop',
  'show attempts left or the wait': 'tell_factor',
  'ask for a factor, log in, repeat': 'ask_factor',
  'a fault: retrieve again or renew the certificate, never sign blindly': 'retrieve_again',
  'close the dialog': 'close',
  'back off': 'back_off',
} as const

test('every code of section 14 has the advice that stands there', () => {
  const rows = table ?? []
  expect(rows.length).toBeGreaterThan(7)
  for (const [, codes = '', action = ''] of rows) {
    const wanted = Object.entries(advices).find(([text]) => text === action)?.[1]
    // The first row is done by the SDK itself: once; then it is told.
    const advice = action.startsWith('take the nonce') ? 'back_off' : wanted
    for (const code of codes.split(', ')) {
      expect.soft(new DeviceError(code, '').advice, code).toBe(advice)
    }
  }
  expect(new DeviceError('constructor', '').advice).toBe('give_up')
})
