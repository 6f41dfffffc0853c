import { type App, createApp } from '../../packages/server/src/app.ts'
import { readConfig } from '../../packages/server/src/config.ts'
import { MasterKey } from '../../packages/server/src/custody/master-key.ts'
import { adminToken, masterKeyText } from './installation.ts'

/** A whole server in this process, for what is measured at its services. @returns it, listening, and its end. */
export async function openServer(
  databaseUrl: string,
): Promise<{ app: App; close(): Promise<void> }> {
  const { config, secrets } = readConfig(
    {
      COUNTERSIGN_DATABASE_URL: databaseUrl,
      COUNTERSIGN_PORT: '0',
      COUNTERSIGN_ADMIN_TOKEN: adminToken,
    },
    () => '',
  )
  const masterKey = new MasterKey(Buffer.from(masterKeyText, 'base64'))
  const app = await createApp({ config, secrets, masterKey })
  await app.prepare()
  await app.listen()
  // The server's own timers keep no process alive.
  const alive = setInterval(() => {}, 1_000)
  return {
    app,
    async close() {
      await app.close()
      clearInterval(alive)
    },
  }
}
