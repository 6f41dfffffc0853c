import type { Shown } from '../approval-content.ts'
import type { Approval } from '../approvals.ts'
import { Device } from '../device.ts'
import { DeviceError } from '../device-error.ts'
import { type EnrolmentPayload, parseEnrolmentPayload } from '../enrolment-payload.ts'
import type { DeviceEvent } from '../events.ts'
import type { Factor } from '../login.ts'
import { IndexedDbStorage } from '../storage/indexed-db-storage.ts'
import { visibleLine, visibleText } from '../visible-text.ts'
import { element, part } from './page-parts.ts'
import { PortalForms } from './portal-forms.ts'
import { PropertyList } from './property-list.ts'

const app = {
  name: 'countersign-simulator',
  platform: 'Web',
  architecture: 'any',
  versionStr: '0.1.0',
}
/** As many as a device tells. */
const localesMax = 10
const name = new URLSearchParams(location.search).get('device') ?? 'first'
const storage = await IndexedDbStorage.open(`countersign-phone-${name}`)
const options = { storage, app, fetch: byOwnServer }

const status = element('status', HTMLElement)
const enrolment = element('enrolment', HTMLFormElement)
const agreement = element('agreement', HTMLFormElement)
const eraseButton = element('erase', HTMLButtonElement)
const cards = element('approvals', HTMLElement)
const pinField = element('enrolment-pin', HTMLInputElement)

/** The page's own server hands calls on; proofs name the server itself. */
async function byOwnServer(url: string, init: RequestInit): Promise<Response> {
  const { pathname, search } = new URL(url)
  return fetch(pathname + search, init)
}

let payload: EnrolmentPayload | undefined

enrolment.addEventListener('submit', (event) => {
  event.preventDefault()
  void attempt(async () => {
    payload = parseEnrolmentPayload(element('payload', HTMLTextAreaElement).value)
    element('server', HTMLElement).textContent = visibleLine(payload.server)
    element('tenant', HTMLElement).textContent = visibleLine(payload.tenantId)
    enrolment.hidden = true
    agreement.hidden = false
  })
})

element('disagree', HTMLButtonElement).addEventListener('click', () => {
  agreement.hidden = true
  enrolment.hidden = false
})

agreement.addEventListener('submit', (event) => {
  event.preventDefault()
  agreement.hidden = true
  void attempt(async () => {
    if (payload === undefined) return
    const pin = pinField.value
    pinField.value = ''
    say('Enrolling …')
    try {
      const locales = navigator.languages.slice(0, localesMax)
      const device = await Device.enrol({ ...options, payload, pin, locales })
      await device.login({ factor: { type: 'pin', pin } })
      say('Asking for a certificate …')
      await device.certificates.ensure('AST_DEVICE')
      void attempt(() => live(device))
    } catch (error) {
      enrolment.hidden = false
      throw error
    }
  })
})

eraseButton.addEventListener('click', () => {
  void attempt(async () => {
    await storage.clear()
    location.reload()
  })
})

async function live(device: Device): Promise<void> {
  eraseButton.hidden = false
  new PortalForms(device, { attempt, say }).open()
  say(`${device.userId} at ${device.server}, ${device.tenantId}. Waiting.`)
  const { signal } = new AbortController()
  const onRetry = (error: unknown) => say(`${reasonOf(error)} Trying again.`)
  const properties = new PropertyList(device, attempt)
  await attempt(() => properties.show())
  for await (const event of device.events.listen({ signal, onRetry })) {
    await attempt(() => meet(device, properties, event))
  }
}

async function meet(
  device: Device,
  properties: PropertyList,
  { type, approvalId, reason, property }: DeviceEvent,
): Promise<void> {
  if (property !== undefined) {
    await device.properties.follow(property)
    await properties.show()
    return
  }
  if (approvalId === undefined) {
    say(`${type} ${reason ?? ''}`)
    return
  }
  cardOf(approvalId)?.remove()
  if (type === 'approval.cancelled') {
    say(`${approvalId} is over: ${reason ?? ''}`)
    return
  }
  const approval = await device.approvals.retrieve(approvalId)
  if (approval.content !== undefined) draw(device, approval, approval.content.shown)
}

/** Everything from the server is set as text, visible characters only. */
function draw(device: Device, approval: Approval, shown: Shown): void {
  const copy = element('approval', HTMLTemplateElement).content.cloneNode(true) as DocumentFragment
  const card = part(copy, 'article', HTMLElement)
  card.dataset.approval = approval.approvalId
  part(card, 'h2', HTMLElement).textContent = visibleLine(
    `${approval.kind} ${approval.reference ?? approval.approvalId}`,
  )
  part(card, 'pre', HTMLElement).textContent = visibleText(textOf(shown))
  const field = part(card, 'input', HTMLInputElement)
  const alert = part(card, '[role=alert]', HTMLElement)
  const buttons = [...card.querySelectorAll('button')]
  if (approval.kind === 'MESSAGE') for (const item of [...buttons, field]) item.remove()
  for (const button of buttons) {
    button.addEventListener('click', async () => {
      for (const other of buttons) other.disabled = true
      const pin = field.value
      field.value = ''
      try {
        const factor: Factor | undefined = pin === '' ? undefined : { type: 'pin', pin }
        const { status: result } =
          button.dataset.decision === 'approve'
            ? await device.approvals.accept(approval, { factor })
            : await device.approvals.reject(approval)
        card.remove()
        say(`${approval.approvalId}: ${result}`)
      } catch (error) {
        alert.textContent = reasonOf(error)
        for (const other of buttons) other.disabled = false
      }
    })
  }
  cards.append(card)
}

function textOf(shown: Shown): string {
  if (shown.form === 'text') return shown.text
  return shown.rows.map((row) => `${visibleLine(row.label)}: ${visibleLine(row.value)}`).join('\n')
}

async function attempt(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    say(reasonOf(error))
  }
}

function say(text: string): void {
  status.textContent = visibleLine(text)
}

function reasonOf(error: unknown): string {
  if (!(error instanceof DeviceError)) return visibleLine(String(error))
  const { attemptsLeft } = error.facts
  const left = attemptsLeft === undefined ? '' : ` ${attemptsLeft} attempts left.`
  return visibleLine(`${error.message}${left} (${error.code})`)
}

function cardOf(approvalId: string): HTMLElement | undefined {
  return [...cards.querySelectorAll('article')].find(
    ({ dataset }) => dataset.approval === approvalId,
  )
}

const enrolled = await Device.open(options)
if (enrolled === undefined) {
  enrolment.hidden = false
  say('Not enrolled.')
} else {
  void attempt(() => live(enrolled))
}
