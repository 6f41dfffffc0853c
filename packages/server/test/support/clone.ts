import {
  chmodSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../../../', import.meta.url))
const curl = fileURLToPath(new URL('./curl-stand-in.ts', import.meta.url))

/** A folder that looks like a clone after `npm ci`. */
export interface Clone extends Disposable {
  readonly path: string
  /** Holds `node` of the right version, and `curl` where the machine has none. */
  readonly bin: string
}

/** Copies the sources; what `npm ci` installs is linked. Runs without a network, as whatever user the tests run as. */
export function createClone(options: { withCurl: boolean }): Clone {
  const path = mkdtempSync(join(tmpdir(), 'countersign-clone-'))
  for (const name of ['package.json', 'package-lock.json'])
    cpSync(join(root, name), join(path, name))
  for (const name of ['device-sdk', 'protocol', 'server']) {
    cpSync(join(root, 'packages', name), join(path, 'packages', name), {
      recursive: true,
      filter: (source) => !/(\.test\.ts|\/node_modules|\/test)$/.test(source),
    })
  }
  linkPackages(path)
  const bin = join(path, 'bin')
  mkdirSync(bin)
  symlinkSync(process.execPath, join(bin, 'node'))
  if (!options.withCurl) {
    writeFileSync(join(bin, 'curl'), `#!/bin/sh\nexec node '${curl}' "$@"\n`)
    chmodSync(join(bin, 'curl'), 0o755)
  }
  return {
    path,
    bin,
    [Symbol.dispose]() {
      rmSync(path, { recursive: true, force: true })
    },
  }
}

function linkPackages(path: string): void {
  const installed = join(root, 'node_modules')
  const modules = join(path, 'node_modules')
  mkdirSync(join(modules, '@countersign'), { recursive: true })
  for (const name of readdirSync(installed)) {
    if (name === '.bin' || name === '@countersign' || name === 'countersign') continue
    symlinkSync(join(installed, name), join(modules, name))
  }
  for (const name of ['device-sdk', 'protocol']) {
    symlinkSync(`../../packages/${name}`, join(modules, '@countersign', name))
  }
  symlinkSync('../packages/server', join(modules, 'countersign'))
  const bin = join(modules, '.bin')
  mkdirSync(bin)
  for (const name of readdirSync(join(installed, '.bin'))) {
    if (name !== 'countersign') symlinkSync(join(installed, '.bin', name), join(bin, name))
  }
  chmodSync(join(path, 'packages/server/bin/countersign.js'), 0o755)
  symlinkSync('../countersign/bin/countersign.js', join(bin, 'countersign'))
}
