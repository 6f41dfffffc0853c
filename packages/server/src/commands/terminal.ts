import { Presets, SingleBar } from 'cli-progress'

const plainIntervalMs = 5_000

/** How far long work has come. */
export interface Progress extends Disposable {
  /** @param count of what was done since the last call. */
  add(count: number): void
}

/**
 * Where a command writes: results to standard output, as text or as one JSON document; everything else to standard error,
 * so that results can be piped. `signal` is aborted by Ctrl-C and SIGTERM.
 */
export class Terminal {
  readonly isJson: boolean
  readonly signal: AbortSignal

  constructor({ isJson, signal }: { isJson: boolean; signal: AbortSignal }) {
    this.isJson = isJson
    this.signal = signal
  }

  /** The result, once: `document` with --json, else the lines. */
  result(document: object, lines: readonly string[]): void {
    const text = this.isJson ? JSON.stringify(document) : lines.join('\n')
    process.stdout.write(`${text}\n`)
  }

  /** Something to know that is not the result. */
  note(text: string): void {
    process.stderr.write(`${text}\n`)
  }

  /**
   * Shows long work: a bar with the remaining time where a person is watching, else a line now and then.
   *
   * @param total in the unit of `add`.
   */
  progress(label: string, total: number): Progress {
    return process.stderr.isTTY ? barProgress(label, total) : this.#plainProgress(label, total)
  }

  #plainProgress(label: string, total: number): Progress {
    const startedAt = performance.now()
    let done = 0
    let toldAt = startedAt
    return {
      add: (count) => {
        done += count
        const nowMs = performance.now()
        if (nowMs - toldAt < plainIntervalMs) return
        toldAt = nowMs
        const leftSeconds = ((nowMs - startedAt) / 1000 / Math.max(done, 1)) * (total - done)
        const percent = Math.floor((100 * done) / Math.max(total, 1))
        this.note(`${label}: ${percent} % (${done}/${total}), ${Math.ceil(leftSeconds)} s left`)
      },
      [Symbol.dispose]: () => {},
    }
  }
}

function barProgress(label: string, total: number): Progress {
  const bar = new SingleBar(
    {
      stream: process.stderr,
      format: `${label} {bar} {percentage} % | {value}/{total} | {eta_formatted} left`,
      etaBuffer: 50,
      // The bar would catch Ctrl-C and end the process in the middle of a batch.
      gracefulExit: false,
    },
    Presets.shades_classic,
  )
  bar.start(total, 0)
  return {
    add: (count) => bar.increment(count),
    [Symbol.dispose]: () => bar.stop(),
  }
}
