import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { loadContract } from './contract.ts'
import { writeTypes } from './type-writer.ts'

// `npm run generate`: writes contract.gen.ts beside every surface's contract. A file that would not change keeps its
// time, so that watchers and builds stay quiet.
const surfaces = new URL('../surfaces/', import.meta.url)
for (const name of readdirSync(surfaces).sort()) {
  const file = new URL(`${name}/contract.openapi.yaml`, surfaces)
  if (!existsSync(file)) continue
  const target = new URL(`${name}/contract.gen.ts`, surfaces)
  const types = writeTypes(loadContract(name, file))
  if (!existsSync(target) || readFileSync(target, 'utf8') !== types) writeFileSync(target, types)
}
