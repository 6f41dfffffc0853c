import { defineConfig } from 'vitest/config'

const limits = { testTimeout: 20_000, hookTimeout: 60_000, teardownTimeout: 20_000 }

// Two projects, because only the server's tests need PostgreSQL: a project's global set-up runs only with its tests.
export default defineConfig({
  test: {
    pool: 'forks',
    // One more than CI has cores: several tests mostly wait.
    maxWorkers: 3,
    ...limits,
    projects: [
      {
        test: {
          name: 'protocol',
          include: ['packages/{protocol,device-sdk}/**/*.test.ts'],
          ...limits,
        },
      },
      {
        test: {
          name: 'server',
          include: ['packages/server/**/*.test.ts'],
          globalSetup: ['packages/server/test/support/postgres-setup.ts'],
          ...limits,
        },
      },
    ],
  },
})
