/** Told that something waits for a device; what it is, is read from the database. */
export type WakeupListener = () => void

/** Hands a wake-up, as one line of text, on to the other processes of the installation. */
export type WakeupRelay = (line: string) => void

/**
 * Tells event streams that their device should look: those of this process at once, those of others by the relay. The
 * truth is in the database; a wake-up that is lost costs a poll interval.
 */
export class DeviceWakeups {
  readonly #listeners = new Map<string, Set<WakeupListener>>()
  #relay: WakeupRelay = () => {}

  /** Where wake-ups of this process go as well. */
  relayTo(relay: WakeupRelay): void {
    this.#relay = relay
  }

  /** Something changed for these devices, and is on disk. */
  wake(tenantId: string, deviceIds: readonly string[]): void {
    if (deviceIds.length === 0) return
    this.wakeHere(tenantId, deviceIds)
    for (const deviceId of deviceIds) this.#relay(lineOf(tenantId, deviceId))
  }

  /** What another process has relayed; text that is none of ours is ignored. */
  receive(line: string): void {
    const space = line.indexOf(' ')
    if (space > 0) this.wakeHere(line.slice(0, space), [line.slice(space + 1)])
  }

  /** The same for this process alone. */
  wakeHere(tenantId: string, deviceIds: readonly string[]): void {
    for (const deviceId of deviceIds) {
      for (const listener of this.#listeners.get(lineOf(tenantId, deviceId)) ?? []) listener()
    }
  }

  /** True while somebody listens for the device in this process. */
  isListening(tenantId: string, deviceId: string): boolean {
    return this.#listeners.has(lineOf(tenantId, deviceId))
  }

  /** @returns ends the listening. */
  listen(tenantId: string, deviceId: string, listener: WakeupListener): () => void {
    const name = lineOf(tenantId, deviceId)
    const listeners = this.#listeners.get(name) ?? new Set()
    listeners.add(listener)
    this.#listeners.set(name, listeners)
    return () => {
      listeners.delete(listener)
      if (listeners.size === 0) this.#listeners.delete(name)
    }
  }
}

function lineOf(tenantId: string, deviceId: string): string {
  return `${tenantId} ${deviceId}`
}
