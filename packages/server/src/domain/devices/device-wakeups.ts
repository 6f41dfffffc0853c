/** Told that something waits for a device; what it is, is read from the database. */
export interface WakeupListener {
  look(): void
}

/** Hands a wake-up, as one line of text, on to the other processes of the installation. */
export type WakeupRelay = (line: string) => void

/**
 * Tells event streams that their device should look: those of this process at once, those of others by the relay. The
 * truth is in the database; a wake-up that is lost costs a poll interval.
 */
export class DeviceWakeups {
  /** There are thousands, nearly always one for a device. */
  readonly #listeners = new Map<string, readonly WakeupListener[]>()
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
      for (const listener of this.listenersOf(tenantId, deviceId)) listener.look()
    }
  }

  /** True while somebody listens for the device in this process. */
  isListening(tenantId: string, deviceId: string): boolean {
    return this.#listeners.has(lineOf(tenantId, deviceId))
  }

  /** Those of this process, the first to listen first. */
  listenersOf(tenantId: string, deviceId: string): readonly WakeupListener[] {
    return this.#listeners.get(lineOf(tenantId, deviceId)) ?? []
  }

  /** Until `unlisten`. */
  listen(tenantId: string, deviceId: string, listener: WakeupListener): void {
    const name = lineOf(tenantId, deviceId)
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), listener])
  }

  unlisten(tenantId: string, deviceId: string, listener: WakeupListener): void {
    const name = lineOf(tenantId, deviceId)
    const others = this.#listeners.get(name)?.filter((other) => other !== listener) ?? []
    if (others.length > 0) this.#listeners.set(name, others)
    else this.#listeners.delete(name)
  }
}

function lineOf(tenantId: string, deviceId: string): string {
  return `${tenantId} ${deviceId}`
}
