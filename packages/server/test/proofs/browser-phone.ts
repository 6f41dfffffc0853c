/**
 * The device SDK in a real browser: the simulated phone as a page in Chromium enrols, gets a certificate, shows what
 * waits exactly, approves by PIN and rejects, keeps its keys over a reload, and none of them can be taken out.
 *
 *     npm run proof:browser
 */
import assert from 'node:assert/strict'
import { startPhonePage } from '../../src/commands/simulate/phone-page-server.ts'
import { createPhoneScene, type PhoneScene } from '../support/phone-scene.ts'
import { startReceiver } from '../support/receiver.ts'
import { Browser, type Page } from './devtools.ts'

const text = '500,00 EUR <b>to</b> \u202eMax\u0007'
const shown = '500,00 EUR <b>to</b> ⟨U+202E⟩Max⟨U+0007⟩'
const waiting = "document.querySelector('#status').textContent.endsWith('Waiting.')"

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function enrol(page: Page, scene: PhoneScene): Promise<string> {
  await page.until("document.querySelector('#enrolment')?.hidden === false")
  await page.type('#payload', await scene.newCode())
  await page.type('#enrolment-pin', '1234')
  await page.click('#enrolment button')
  await page.until("document.querySelector('#agreement').hidden === false")
  assert.equal(await page.evaluate("document.querySelector('#tenant').textContent"), 'acme')
  await page.click('#agreement [type=submit]')
  await page.until(waiting)
  const status = String(await page.evaluate("document.querySelector('#status').textContent"))
  return status.split(' ')[0] ?? ''
}

async function decide(
  page: Page,
  approvalId: string,
  decision: string,
  pin: string,
): Promise<void> {
  const card = `[data-approval="${approvalId}"]`
  await page.until(`document.querySelector('${card}') !== null`)
  if (pin !== '') await page.type(`${card} input`, pin)
  await page.click(`${card} [data-decision=${decision}]`)
}

/** The portal's name comes from the server; the callback says who it was. */
async function logInAtPortal(page: Page, scene: PhoneScene, userId: string): Promise<void> {
  await using portal = await startReceiver()
  const { origin } = new URL(portal.url)
  await scene.call('PATCH', '/tenants/acme/settings', { callbacks: { allowedOrigins: [origin] } })
  const account = { tenantId: 'acme', scopes: ['ast:write'] }
  const { secret } = await scene.call('POST', '/service-accounts', account)
  const reply = await fetch(`${scene.url}/ast/v1/tenants/acme/nonces?type=short`, {
    method: 'POST',
    headers: { authorization: `Bearer ${secret}`, 'content-type': 'application/json' },
    body: JSON.stringify({ action: 'LOGIN_NONCE', payload: { callbackUrl: portal.url } }),
  })
  const { nonce } = (await reply.json()) as { nonce: string }
  await page.type('#nonce', nonce.toLowerCase())
  await page.click('#portal button')
  await page.until("document.querySelector('#portal-login').hidden === false")
  assert.equal(await page.evaluate("document.querySelector('#portal-name').textContent"), origin)
  await page.type('#portal-pin', '1234')
  await page.click('#portal-login [type=submit]')
  await portal.waitFor(1)
  const { loginEvent } = JSON.parse(portal.received[0]?.body.toString() ?? '')
  assert.equal(loginEvent.userId, userId)
  await page.until("document.querySelector('#portal').hidden === false")
}

async function prove(browser: Browser): Promise<void> {
  await using scene = await createPhoneScene({ env: { COUNTERSIGN_OUTBOUND_ALLOW: '127.0.0.0/8' } })
  await using served = await startPhonePage({ server: scene.url, port: 0 })
  const page = await browser.open(served.url)
  const userId = await enrol(page, scene)
  say(`enrolled ${userId}, certificate issued and checked`)

  const approvalId = await scene.ask(userId, text)
  const pre = `document.querySelector('[data-approval="${approvalId}"] pre')`
  await page.until(`${pre} !== null`)
  assert.equal(await page.evaluate(`${pre}.textContent`), shown)
  assert.equal(await page.evaluate(`${pre}.children.length`), 0)
  say('shown exactly, control characters visible, nothing of it markup')

  await decide(page, approvalId, 'approve', '9999')
  await page.until(
    `document.querySelector('[data-approval="${approvalId}"] [role=alert]').textContent.includes('4 attempts left')`,
  )
  await decide(page, approvalId, 'approve', '1234')
  await page.until(`${pre} === null`)
  assert.equal(await scene.statusOf(approvalId), 'APPROVED')
  say('approved with the PIN, after a wrong one')

  const rejected = await scene.ask(userId, 'another')
  await decide(page, rejected, 'reject', '')
  await page.until(`document.querySelector('#status').textContent.endsWith('REJECTED')`)
  assert.equal(await scene.statusOf(rejected), 'REJECTED')
  say('rejected')

  await page.type('#property-name', 'theme')
  await page.type('#property-value', '<b>dark</b>')
  await page.click('#property-form button')
  const item = `document.querySelector('[data-property="user/theme"]')`
  await page.until(`${item} !== null`)
  assert.equal(
    await page.evaluate(`${item}.textContent`),
    'user/theme = <b>dark</b> (UTF8STRING, version 1)',
  )
  say('wrote a property and showed it')

  await page.call('Page.reload')
  await page.until(waiting)
  const again = await scene.ask(userId, 'after a reload')
  await decide(page, again, 'approve', '1234')
  await page.until(`document.querySelector('#status').textContent.endsWith('APPROVED')`)
  say('keys and state survive a reload')

  await logInAtPortal(page, scene, userId)
  say('logged in at a portal by its code, after the page had shown whose it is')

  const exported = await page.evaluate(`(async () => {
    const open = indexedDB.open('countersign-phone-first')
    await new Promise((done) => (open.onsuccess = done))
    const get = open.result.transaction('device').objectStore('device').get('key:device')
    await new Promise((done) => (get.onsuccess = done))
    const { privateKey } = get.result
    return crypto.subtle.exportKey('pkcs8', privateKey).then(() => 'taken out', (error) => error.name)
  })()`)
  assert.equal(exported, 'InvalidAccessError')
  say('the private key cannot be taken out')

  // Refusals of the server are told as errors of the network.
  const faults = browser.complaints.filter(
    (complaint) => !/favicon|status of 4\d\d/.test(complaint),
  )
  assert.deepEqual(faults, [])
  say('nothing was thrown, and the policy refused nothing of the page itself')

  const script = await page.evaluate(`(() => {
    const script = document.createElement('script')
    try { script.textContent = 'globalThis.isRun = true' } catch { return 'refused' }
    document.body.append(script)
    return globalThis.isRun === true ? 'run' : 'refused'
  })()`)
  assert.equal(script, 'refused')
  const second = await browser.open(`${served.url}?device=second`)
  assert.notEqual(await enrol(second, scene), userId)
  say('foreign scripts are refused; a second phone is another device')
}

await using browser = await Browser.start()
if (browser === undefined) {
  process.stderr.write(
    'There is no Chromium. Debian: apt-get install chromium. Fedora: dnf install chromium. Ubuntu: snap install chromium.\n',
  )
  process.exit(2)
}
await prove(browser)
say('The SDK works in Chromium.')
