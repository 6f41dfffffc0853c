import { afterAll, beforeAll, expect, test } from 'vitest'
import { EcdsaVerifier } from '#custody/key-custody.ts'
import {
  type CertificateBench,
  createCertificateBench,
  tenantId,
} from '#test/support/certificates.ts'
import { KnownAuthorities } from './known-authorities.ts'

let bench: CertificateBench
beforeAll(async () => {
  bench = await createCertificateBench()
})
afterAll(() => bench[Symbol.asyncDispose]())

test('a signature over an authority is checked once, one that does not hold every time, any other every time', async () => {
  const { core, admin } = bench
  const { id } = await core.pki.signers.get(admin, tenantId, 'current')
  const [signerDer = new Uint8Array(), anchorDer = new Uint8Array()] =
    await core.pki.publicIssuers.chain(tenantId, id)
  const verifier = new EcdsaVerifier()
  let checks = 0
  const known = new KnownAuthorities((spki, bytes, signature) => {
    checks++
    return verifier.verify(spki, bytes, signature)
  })
  const signer = known.certificate(signerDer)
  const anchor = known.certificate(anchorDer)
  const verify = known.verifierFor(signer)

  expect(known.certificate(Uint8Array.from(signerDer))).toBe(signer)
  expect(await verify(anchor.publicKey, signer.tbs, signer.signature)).toBe(true)
  expect(await verify(anchor.publicKey, signer.tbs, signer.signature)).toBe(true)
  expect(checks).toBe(1)
  // By another key it does not hold, however often it held by the right one.
  expect(await verify(signer.publicKey, signer.tbs, signer.signature)).toBe(false)
  expect(await verify(signer.publicKey, signer.tbs, signer.signature)).toBe(false)
  expect(checks).toBe(3)
  const forged = Uint8Array.from(signer.signature)
  forged[40] = (forged[40] ?? 0) ^ 1
  expect(await verify(anchor.publicKey, signer.tbs, forged)).toBe(false)
  expect(await verify(anchor.publicKey, anchor.tbs, signer.signature)).toBe(false)
  expect(checks).toBe(5)
})
