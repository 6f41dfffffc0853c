/** Commands of the tour and what they are documented to print. */
export interface TourStep {
  /** Line of the document on which the commands begin, from 1. */
  readonly line: number
  readonly commands: string
  /** Without the mark; `…` stands for anything within a line. Empty: nothing is printed. */
  readonly expected: readonly string[]
}

const opening = /^```sh tour\b/
const closing = '```'
const mark = '# → '

/** The steps of all code blocks of a Markdown text whose info string begins with `sh tour`, in order. */
export function readTour(markdown: string): readonly TourStep[] {
  const steps: TourStep[] = []
  let isInside = false
  let commands: string[] = []
  let expected: string[] = []
  let line = 0
  const end = (nextLine: number): void => {
    if (commands.length > 0) {
      steps.push({ line, commands: commands.join('\n'), expected })
    }
    commands = []
    expected = []
    line = nextLine
  }
  for (const [index, text] of markdown.split('\n').entries()) {
    if (!isInside) {
      isInside = opening.test(text)
      line = index + 2
    } else if (text === closing) {
      end(0)
      isInside = false
    } else if (text.startsWith(mark)) {
      expected.push(text.slice(mark.length))
    } else {
      // What follows an output is the next step.
      if (expected.length > 0) end(index + 1)
      commands.push(text)
    }
  }
  return steps
}

const separator = '--- end of step'

/** As in a terminal, a job is a group of processes; whatever still runs at the end is ended. */
const preamble = `set -euo pipefail
set -m
trap 'for job in $(jobs -p); do kill -KILL -- "-$job"; done' EXIT
trap 'exit 1' TERM`

/** One bash script for all steps, so that variables, functions and jobs live on as in one terminal. */
export function tourScript(steps: readonly TourStep[]): string {
  const parts = steps.map(
    ({ commands, line }) => `${commands}\nprintf '%s %d\\n' '${separator}' ${line}`,
  )
  return [preamble, ...parts, ''].join('\n')
}

/** What the script printed, step by step; shorter than the steps when it ended early. */
export function outputsOf(stdout: string): readonly string[][] {
  const outputs: string[][] = []
  let lines: string[] = []
  for (const text of stdout.split('\n')) {
    if (text.startsWith(separator)) {
      outputs.push(lines)
      lines = []
    } else {
      lines.push(text)
    }
  }
  return outputs
}

/** Whether a line was printed as documented. */
export function isAsDocumented(printed: string, expected: string): boolean {
  const pieces = expected.split('…').map((piece) => piece.replaceAll(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
  return new RegExp(`^${pieces.join('.*')}$`, 'u').test(printed)
}
