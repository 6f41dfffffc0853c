/**
 * HMAC-SHA-1 (RFC 2104, FIPS 180-4) of 8-byte counters. A window of counters needs dozens of these under one key; two
 * compressions each, from the states that the key's pads leave, cost a fifth of calls into a general library. No branch
 * and no index depends on the key or the message.
 */
export class CounterHmacSha1 {
  /** Five words each: the states after the inner and the outer pad. */
  readonly #inner: Int32Array
  readonly #outer: Int32Array

  /** @param key of any length; longer than a block, its digest is used (RFC 2104). */
  constructor(key: Uint8Array) {
    const block = keyBlock(key)
    this.#inner = stateAfterPad(block, 0x36363636)
    this.#outer = stateAfterPad(block, 0x5c5c5c5c)
  }

  /** Dynamic truncation (RFC 4226 section 5.3) of the counter's HMAC: 31 bits. */
  truncated(counter: number): number {
    schedule[0] = Math.floor(counter / twoTo32)
    schedule[1] = (counter % twoTo32) | 0
    endMessage(2, (blockLength + counterLength) * 8)
    compress(this.#inner, state)

    for (let word = 0; word < 5; word++) schedule[word] = at(state, word)
    endMessage(5, (blockLength + digestLength) * 8)
    compress(this.#outer, state)
    return truncate(state)
  }
}

const blockLength = 64
const blockWords = 16
const digestLength = 20
const counterLength = 8
const endMark = 0x80000000 | 0
const twoTo32 = 2 ** 32

/** Everything here is synchronous, so one schedule and one state are enough. */
const schedule = new Int32Array(80)
const state = new Int32Array(5)
const initialState = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0)

/** The key as the words of one block. */
function keyBlock(key: Uint8Array): Int32Array {
  const block = new Uint8Array(blockLength)
  block.set(key.length > blockLength ? sha1(key) : key)
  loadBlock(block, 0)
  return schedule.slice(0, blockWords)
}

function stateAfterPad(block: Int32Array, pad: number): Int32Array {
  for (let word = 0; word < blockWords; word++) schedule[word] = at(block, word) ^ pad
  const result = new Int32Array(5)
  compress(initialState, result)
  return result
}

/** SHA-1 of keys that are longer than a block. */
function sha1(message: Uint8Array): Uint8Array {
  const paddedLength = Math.ceil((message.length + 9) / blockLength) * blockLength
  const padded = new Uint8Array(paddedLength)
  padded.set(message)
  padded[message.length] = 0x80
  new DataView(padded.buffer).setUint32(paddedLength - 4, message.length * 8)
  const result = initialState.slice()
  for (let offset = 0; offset < paddedLength; offset += blockLength) {
    loadBlock(padded, offset)
    compress(result, result)
  }
  const digest = new Uint8Array(digestLength)
  const view = new DataView(digest.buffer)
  for (const [index, word] of result.entries()) view.setInt32(index * 4, word)
  return digest
}

function loadBlock(bytes: Uint8Array, offset: number): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset + offset, blockLength)
  for (let word = 0; word < blockWords; word++) schedule[word] = view.getInt32(word * 4)
}

/** Ends a message of so many words in `schedule` (FIPS 180-4 section 5.1.1). @param bitCount of all its blocks. */
function endMessage(wordCount: number, bitCount: number): void {
  schedule[wordCount] = endMark
  for (let word = wordCount + 1; word < blockWords - 1; word++) schedule[word] = 0
  schedule[blockWords - 1] = bitCount
}

/** FIPS 180-4 section 6.1.2: the state that the block in `schedule` makes of another one. */
function compress(from: Int32Array, target: Int32Array): void {
  const w = schedule
  for (let t = blockWords; t < 80; t++) {
    const mixed = at(w, t - 3) ^ at(w, t - 8) ^ at(w, t - 14) ^ at(w, t - 16)
    w[t] = (mixed << 1) | (mixed >>> 31)
  }
  let a = at(from, 0)
  let b = at(from, 1)
  let c = at(from, 2)
  let d = at(from, 3)
  let e = at(from, 4)
  for (let t = 0; t < 20; t++) {
    const next = sum((a << 5) | (a >>> 27), d ^ (b & (c ^ d)), e, 0x5a827999, at(w, t))
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = next
  }
  for (let t = 20; t < 40; t++) {
    const next = sum((a << 5) | (a >>> 27), b ^ c ^ d, e, 0x6ed9eba1, at(w, t))
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = next
  }
  for (let t = 40; t < 60; t++) {
    const majority = (b & c) | (d & (b | c))
    const next = sum((a << 5) | (a >>> 27), majority, e, 0x8f1bbcdc | 0, at(w, t))
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = next
  }
  for (let t = 60; t < 80; t++) {
    const next = sum((a << 5) | (a >>> 27), b ^ c ^ d, e, 0xca62c1d6 | 0, at(w, t))
    e = d
    d = c
    c = (b << 30) | (b >>> 2)
    b = a
    a = next
  }
  target[0] = at(from, 0) + a
  target[1] = at(from, 1) + b
  target[2] = at(from, 2) + c
  target[3] = at(from, 3) + d
  target[4] = at(from, 4) + e
}

/** Modulo 2^32. Every step says so: the engine then adds machine words, and no wider numbers. */
function sum(
  rotated: number,
  mixed: number,
  last: number,
  constant: number,
  scheduled: number,
): number {
  return (((rotated + mixed) | 0) + ((((last + constant) | 0) + scheduled) | 0)) | 0
}

function at(words: Int32Array, index: number): number {
  return words[index] as number
}

/** 31 bits from the byte that the digest's last four bits name; every word is looked at, whichever it is. */
function truncate(digest: Int32Array): number {
  const offset = at(digest, 4) & 0x0f
  const wordIndex = offset >>> 2
  const shift = (offset & 3) * 8
  let high = 0
  let low = 0
  for (let word = 0; word < 5; word++) {
    high |= at(digest, word) & -isSame(word, wordIndex)
    low |= at(digest, word) & -isSame(word, wordIndex + 1)
  }
  // For a shift of 0 the low word gives nothing: shifted twice, because a shift by 32 is none in JavaScript.
  const value = (high << shift) | ((low >>> 1) >>> (31 - shift))
  return value & 0x7fffffff
}

/** 1 for equal small numbers, else 0, without a branch. */
function isSame(left: number, right: number): number {
  const difference = left ^ right
  return ((difference | -difference) >>> 31) ^ 1
}
