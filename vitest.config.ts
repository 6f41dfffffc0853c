import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const limits = { testTimeout: 20_000, hookTimeout: 60_000, teardownTimeout: 20_000 }

/** Folders whose tests start programs and wait for them: begun last, they would run alone at the end. */
const slowFolders = ['/test/end-to-end/', '/src/commands/', '/src/storage/']

class SlowFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const rank = ({ moduleId }: TestSpecification): number => {
      const found = slowFolders.findIndex((folder) => moduleId.includes(folder))
      return found === -1 ? slowFolders.length : found
    }
    return sorted.toSorted((one, other) => rank(one) - rank(other))
  }
}

// Two projects, because only the server's tests need PostgreSQL: a project's global set-up runs only with its tests.
export default defineConfig({
  test: {
    pool: 'forks',
    // Files share a process, and so what it has compiled; each makes its own databases and servers and ends them.
    isolate: false,
    // One more than CI has cores: several tests mostly wait.
    maxWorkers: 3,
    sequence: { sequencer: SlowFirst },
    ...limits,
    projects: [
      {
        test: {
          name: 'protocol',
          include: ['packages/{protocol,device-sdk}/**/*.test.ts'],
          isolate: false,
          ...limits,
        },
      },
      {
        test: {
          name: 'server',
          include: ['packages/server/**/*.test.ts'],
          globalSetup: ['packages/server/test/support/postgres-setup.ts'],
          isolate: false,
          ...limits,
        },
      },
    ],
  },
})
