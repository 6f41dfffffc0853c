#!/usr/bin/env node
// Plain JavaScript that an old Node can read: it finds a Node that can start the TypeScript sources, and starts them in it.
import { spawn } from 'node:child_process'
import { createRequire } from 'node:module'
import { constants } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { keepCompiled } from './compile-cache.js'

const oldestMajor = 24
const program = new URL('../src/cli.ts', import.meta.url)

function isNewEnough(version) {
  return Number(version.split('.')[0]) >= oldestMajor
}

/** The Node of the npm package `node`, a development dependency of this project; undefined when it is not installed. */
function installedNode() {
  try {
    const require = createRequire(import.meta.url)
    const packageFile = require.resolve('node/package.json')
    const { bin, version } = require(packageFile)
    return isNewEnough(version) ? join(dirname(packageFile), bin.node) : undefined
  } catch {
    return undefined
  }
}

/** Runs the program in another Node and ends as it ends. */
function runIn(node) {
  const itself = fileURLToPath(import.meta.url)
  const child = spawn(node, ['--max-semi-space-size=8', itself, ...process.argv.slice(2)], {
    stdio: 'inherit',
  })
  child.on('error', (error) => {
    process.stderr.write(`countersign: ${node} cannot be started: ${error.message}\n`)
    process.exitCode = 1
  })
  // A terminal sends Ctrl-C to both; a signal from elsewhere reaches only this process.
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT']) {
    process.on(signal, () => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal)
    })
  }
  child.on('close', (code, signal) => {
    process.exitCode = code ?? 128 + (constants.signals[signal] ?? 0)
  })
}

if (isNewEnough(process.versions.node)) {
  keepCompiled()
  await import(program.href)
} else {
  const node = installedNode()
  if (node) {
    runIn(node)
  } else {
    process.stderr.write(
      `countersign needs Node ${oldestMajor} or newer and this is ${process.version}. ` +
        'Install one, or run "npm ci" in the project, which brings its own.\n',
    )
    process.exitCode = 1
  }
}
