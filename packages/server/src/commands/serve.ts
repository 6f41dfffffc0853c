import { runServer } from '../main.ts'

/** Serves until a signal comes; the same as `npm start`. */
export async function serve(): Promise<void> {
  await runServer()
}
