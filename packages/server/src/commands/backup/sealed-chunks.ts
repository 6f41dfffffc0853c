import { createCipheriv, createDecipheriv } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { chunkBytesMax, damaged, flagBytes, lengthBytes, tagBytes } from './format.ts'

const algorithm = 'aes-256-gcm'
const nonceBytes = 12
const frameBytes = flagBytes + lengthBytes

/** Place and end of a chunk. Every file has a key of its own, so a number that counts up is a nonce used once. */
function nonceOf(index: number): Buffer {
  const nonce = Buffer.alloc(nonceBytes)
  nonce.writeBigUInt64BE(BigInt(index), nonceBytes - 8)
  return nonce
}

function boundTo(index: number, isLast: boolean): Buffer {
  const bytes = Buffer.alloc(8 + flagBytes)
  bytes.writeBigUInt64BE(BigInt(index), 0)
  bytes.writeUInt8(isLast ? 1 : 0, 8)
  return bytes
}

/** Encrypts a text of any length, piece by piece; its order and its end are authenticated. */
export class SealedWriter {
  readonly #handle: FileHandle
  readonly #key: Uint8Array
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #index = 0

  constructor(handle: FileHandle, key: Uint8Array) {
    this.#handle = handle
    this.#key = key
  }

  async writeLine(line: string): Promise<void> {
    const bytes = Buffer.from(`${line}\n`)
    this.#waiting.push(bytes)
    this.#waitingBytes += bytes.length
    if (this.#waitingBytes > chunkBytesMax) await this.#flush()
  }

  async end(): Promise<void> {
    await this.#flush()
    await this.#writeChunk(Buffer.concat(this.#waiting), true)
  }

  /** Writes all whole chunks and keeps the rest, so that the last one can be marked. */
  async #flush(): Promise<void> {
    let bytes = Buffer.concat(this.#waiting)
    while (bytes.length > chunkBytesMax) {
      await this.#writeChunk(bytes.subarray(0, chunkBytesMax), false)
      bytes = bytes.subarray(chunkBytesMax)
    }
    this.#waiting = [bytes]
    this.#waitingBytes = bytes.length
  }

  async #writeChunk(plain: Uint8Array, isLast: boolean): Promise<void> {
    const cipher = createCipheriv(algorithm, this.#key, nonceOf(this.#index))
    cipher.setAAD(boundTo(this.#index, isLast))
    this.#index += 1
    const frame = Buffer.alloc(frameBytes)
    frame.writeUInt8(isLast ? 1 : 0, 0)
    frame.writeUInt32BE(plain.length + tagBytes, flagBytes)
    const chunk = [frame, cipher.update(plain), cipher.final(), cipher.getAuthTag()]
    await this.#handle.appendFile(Buffer.concat(chunk))
  }
}

/**
 * Decrypts what {@link SealedWriter} wrote. Every piece that comes out is authentic and in its place; only when the
 * generator ends without an error was the file whole.
 *
 * @param position of the first chunk.
 * @throws CommandError naming the place of the damage.
 */
export async function* openedChunks(
  handle: FileHandle,
  position: number,
  key: Uint8Array,
): AsyncGenerator<Buffer> {
  let place = position
  for (let index = 0; ; index++) {
    const frame = await readExactly(handle, place, frameBytes)
    const flag = frame.readUInt8(0)
    const length = frame.readUInt32BE(flagBytes)
    if (flag > 1 || length < tagBytes || length > chunkBytesMax + tagBytes) throw damagedAt(place)
    const sealed = await readExactly(handle, place + frameBytes, length)
    const plain = openChunk(sealed, { key, index, isLast: flag === 1 })
    if (plain === undefined) throw damagedAt(place)
    place += frameBytes + length
    yield plain
    if (flag === 0) continue
    if (await hasMore(handle, place)) {
      throw damaged(`The backup goes on behind its end, at byte ${place}.`)
    }
    return
  }
}

function openChunk(
  sealed: Buffer,
  { key, index, isLast }: { key: Uint8Array; index: number; isLast: boolean },
): Buffer | undefined {
  const decipher = createDecipheriv(algorithm, key, nonceOf(index))
  decipher.setAAD(boundTo(index, isLast))
  decipher.setAuthTag(sealed.subarray(-tagBytes))
  try {
    return Buffer.concat([decipher.update(sealed.subarray(0, -tagBytes)), decipher.final()])
  } catch {
    return undefined
  }
}

/** @throws CommandError when the file ends before. */
export async function readExactly(
  handle: FileHandle,
  position: number,
  length: number,
): Promise<Buffer> {
  const bytes = Buffer.alloc(length)
  let count = 0
  while (count < length) {
    const { bytesRead } = await handle.read(bytes, count, length - count, position + count)
    if (bytesRead === 0) throw damaged(`The backup is cut off at byte ${position + count}.`)
    count += bytesRead
  }
  return bytes
}

async function hasMore(handle: FileHandle, position: number): Promise<boolean> {
  const { bytesRead } = await handle.read(Buffer.alloc(1), 0, 1, position)
  return bytesRead > 0
}

function damagedAt(position: number): Error {
  return damaged(`The backup is damaged at byte ${position}: changed, or pieces are out of order.`)
}
