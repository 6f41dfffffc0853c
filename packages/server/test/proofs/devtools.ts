import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const startMs = 30_000
const callMs = 30_000
const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

interface Message {
  readonly id?: number
  readonly method?: string
  readonly params?: Record<string, unknown>
  readonly result?: Record<string, unknown>
  readonly error?: { readonly message: string }
}

/** A Chromium of this machine, driven over the DevTools protocol. */
export class Browser implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #folder: string
  readonly #socket: WebSocket
  readonly #waiting = new Map<number, PromiseWithResolvers<Record<string, unknown>>>()
  /** Everything that pages reported as wrong: exceptions, refused by the policy, failed requests. */
  readonly complaints: string[] = []
  #lastId = 0

  private constructor(process: ChildProcess, folder: string, socket: WebSocket) {
    this.#process = process
    this.#folder = folder
    this.#socket = socket
    socket.addEventListener('message', ({ data }) => this.#receive(JSON.parse(String(data))))
  }

  /** @returns undefined when there is no Chromium. */
  static async start(): Promise<Browser | undefined> {
    const folder = mkdtempSync(join(tmpdir(), 'countersign-chromium-'))
    for (const name of names) {
      const args = ['--headless=new', '--no-sandbox', '--disable-gpu', '--remote-debugging-port=0']
      const child = spawn(name, [...args, `--user-data-dir=${folder}`, 'about:blank'], {
        stdio: ['ignore', 'ignore', 'pipe'],
      })
      const address = await addressOf(child)
      if (address === undefined) continue
      const socket = new WebSocket(address)
      await once(socket, 'open')
      return new Browser(child, folder, socket)
    }
    rmSync(folder, { recursive: true, force: true })
    return undefined
  }

  async open(url: string): Promise<Page> {
    const { targetId } = await this.call('Target.createTarget', { url: 'about:blank' })
    const attached = await this.call('Target.attachToTarget', { targetId, flatten: true })
    const page = new Page(this, String(attached.sessionId))
    for (const domain of ['Runtime', 'Log', 'Page']) await page.call(`${domain}.enable`)
    await page.call('Page.navigate', { url })
    return page
  }

  async call(
    method: string,
    params: object = {},
    sessionId?: string,
  ): Promise<Record<string, unknown>> {
    const id = ++this.#lastId
    const answer = Promise.withResolvers<Record<string, unknown>>()
    this.#waiting.set(id, answer)
    this.#socket.send(JSON.stringify({ id, method, params, sessionId }))
    const timer = setTimeout(() => answer.reject(new Error(`${method} is not answered.`)), callMs)
    return answer.promise.finally(() => clearTimeout(timer))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close()
    this.#process.kill('SIGKILL')
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      await once(this.#process, 'exit')
    }
    rmSync(this.#folder, { recursive: true, force: true, maxRetries: 5 })
  }

  #receive({ id, method = '', params = {}, result = {}, error }: Message): void {
    const text = JSON.stringify(params)
    const isError = method === 'Log.entryAdded' && text.includes('"level":"error"')
    if (method === 'Runtime.exceptionThrown' || isError) this.complaints.push(text)
    const waiting = this.#waiting.get(id ?? 0)
    this.#waiting.delete(id ?? 0)
    if (error === undefined) waiting?.resolve(result)
    else waiting?.reject(new Error(error.message))
  }
}

/** One tab. */
export class Page {
  readonly #browser: Browser
  readonly #session: string

  constructor(browser: Browser, session: string) {
    this.#browser = browser
    this.#session = session
  }

  async call(method: string, params: object = {}): Promise<Record<string, unknown>> {
    return this.#browser.call(method, params, this.#session)
  }

  /** Runs an expression as the developer's console does. */
  async evaluate(expression: string): Promise<unknown> {
    const parameters = { expression, awaitPromise: true, returnByValue: true }
    const { result, exceptionDetails } = await this.call('Runtime.evaluate', parameters)
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails))
    return (result as { value?: unknown }).value
  }

  /** Waits until an expression is true. */
  async until(expression: string, timeoutMs = callMs): Promise<void> {
    const endsAt = performance.now() + timeoutMs
    while ((await this.evaluate(expression).catch(() => false)) !== true) {
      if (performance.now() > endsAt) {
        const text = await this.evaluate('document.body.innerText').catch(String)
        throw new Error(`It did not come to ${expression}. The page says: ${String(text)}`)
      }
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }

  /** Types as a person does, with events the page cannot tell from real ones. */
  async type(selector: string, text: string): Promise<void> {
    await this.evaluate(`document.querySelector(${JSON.stringify(selector)}).focus()`)
    await this.call('Input.insertText', { text })
  }

  async click(selector: string): Promise<void> {
    const box = (await this.evaluate(`(() => {
      const node = document.querySelector(${JSON.stringify(selector)})
      node.scrollIntoView({ block: 'center' })
      const { x, y, width, height } = node.getBoundingClientRect()
      return { x: x + width / 2, y: y + height / 2 }
    })()`)) as { x: number; y: number }
    for (const type of ['mousePressed', 'mouseReleased']) {
      await this.call('Input.dispatchMouseEvent', { type, ...box, button: 'left', clickCount: 1 })
    }
  }
}

/** What Chromium writes when it listens; undefined when it is not there or ends. */
async function addressOf(child: ChildProcess): Promise<string | undefined> {
  const found = Promise.withResolvers<string | undefined>()
  let text = ''
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    const [, address] = /DevTools listening on (ws:\S+)/.exec(text) ?? []
    if (address !== undefined) found.resolve(address)
  })
  child.on('error', () => found.resolve(undefined)).on('exit', () => found.resolve(undefined))
  const timer = setTimeout(() => found.resolve(undefined), startMs)
  return found.promise.finally(() => clearTimeout(timer))
}
