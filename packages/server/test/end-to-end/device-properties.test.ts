import { Device } from '@countersign/device-sdk/device.ts'
import type { DeviceEvent } from '@countersign/device-sdk/events.ts'
import type { Property } from '@countersign/device-sdk/property.ts'
import { MemoryStorage } from '@countersign/device-sdk/storage/memory-storage.ts'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type PropertyDraft, plainTraits } from '#domain/properties/property.ts'
import { testCaller, testPublicUrl } from '../support/core.ts'
import { until } from '../support/delivery.ts'
import { createPlatformApi, type PlatformApi } from '../support/platform-api.ts'

const app = { name: 'acme-bank', platform: 'Node', architecture: 'any', versionStr: '1.0.0' }
const portal = testCaller('acme', ['tenant:write', 'ast:write'])

let api: PlatformApi
let phone: Device
let storage: MemoryStorage
let tablet: Device
let isOnline = true
let calls: string[] = []

beforeAll(async () => {
  api = await createPlatformApi()
  await api.createTenant('acme')
  storage = new MemoryStorage()
  phone = await enrol(undefined, storage)
  tablet = await enrol(phone.userId, new MemoryStorage())
})
afterAll(() => api[Symbol.asyncDispose]())
beforeEach(() => {
  isOnline = true
  calls = []
})

async function network(url: string, init: RequestInit): Promise<Response> {
  if (!isOnline) throw new TypeError('offline')
  const headers = new Headers(init.headers)
  const response = await fetch(url.replace(testPublicUrl, api.origin), init)
  calls.push(`${init.method} ${new URL(url).pathname} ${headers.get('if-match') ?? ''}`.trim())
  return response
}

async function enrol(userId: string | undefined, own: MemoryStorage): Promise<Device> {
  const draft = userId === undefined ? {} : { user: { id: userId } }
  const { secret } = await api.app.core.enrolmentCodes.create(portal, 'acme', draft)
  return Device.enrol({
    payload: secret.qrPayload,
    storage: own,
    app,
    pin: '1234',
    fetch: network,
    clock: api.clock,
  })
}

/** The portal makes a property, of the user or of the phone. */
async function make(name: string, more: Partial<PropertyDraft> & { ofPhone?: boolean } = {}) {
  const { ofPhone = false, ...traits } = more
  const owner = { userName: phone.userId, deviceId: ofPhone ? phone.deviceId : null }
  const plain = { ...plainTraits, type: 'UTF8STRING', value: 'first' } as const
  const draft = { ...plain, notify: true, ...traits, name }
  const { id } = await api.app.core.properties.create(portal, 'acme', owner, draft)
  return {
    change: (value: string, changed: Partial<PropertyDraft> = {}) =>
      api.app.core.properties.update(portal, 'acme', id, { ...draft, value, ...changed }),
    remove: () => api.app.core.properties.delete(portal, 'acme', id),
    value: async () => (await api.app.core.properties.get(portal, 'acme', id)).value,
  }
}

const text = (value: string) => ({ type: 'UTF8STRING', value }) as const
const user = (name: string) => ({ owner: 'user', name }) as const
const own = (name: string) => ({ owner: 'device', name }) as const
const copyOf = (device: Device, name: string) =>
  device.properties.copies.find((copy: Property) => copy.name === name)

describe('cpFlags 0: no copy', () => {
  test('is read from the server each time, and written to it', async () => {
    const property = await make('plain-one')
    await phone.properties.synchronise()
    expect(copyOf(phone, 'plain-one')).toBeUndefined()
    await property.change('second')
    expect(await phone.properties.read(user('plain-one'))).toMatchObject({ value: 'second' })
    await phone.properties.write(user('plain-one'), text('third'))
    expect(await property.value()).toBe('third')
    expect(copyOf(phone, 'plain-one')).toBeUndefined()
    isOnline = false
    await expect(phone.properties.read(user('plain-one'))).rejects.toMatchObject({
      code: 'unreachable',
    })
  })

  test('a new one of the device’s own making is like that', async () => {
    const name = 'made/here ü'
    const made = await phone.properties.write(own(name), text('dark'))
    expect(made).toMatchObject({ owner: 'device', cpFlags: 0, version: 1, isPending: false })
    expect(await phone.properties.read(own(name))).toMatchObject({ value: 'dark' })
    await expect(tablet.properties.read(own(name))).rejects.toMatchObject({ code: 'not_found' })
  })
})

describe('cpFlags 768: the server wins', () => {
  test('the copy follows the server, and is there without it', async () => {
    const property = await make('follows', { cpFlags: 768 })
    await phone.properties.synchronise()
    await property.change('second')
    expect(await phone.properties.read(user('follows'))).toMatchObject({ value: 'first' })
    const change = { ...user('follows'), change: 'updated' } as const
    expect(await phone.properties.follow(change)).toMatchObject({ value: 'second', version: 2 })
    isOnline = false
    expect(await phone.properties.read(user('follows'))).toMatchObject({ value: 'second' })
    await expect(phone.properties.write(user('follows'), text('x'))).rejects.toMatchObject({
      code: 'unreachable',
    })
    expect(copyOf(phone, 'follows')).toMatchObject({ value: 'second' })
  })

  test('writes name the version; of two devices one is told, and follows', async () => {
    const property = await make('shared', { cpFlags: 768 })
    await phone.properties.synchronise()
    await tablet.properties.synchronise()
    calls = []
    expect(await phone.properties.write(user('shared'), text('mine'))).toMatchObject({ version: 2 })
    expect(calls).toEqual(['PUT /device/v1/properties/user/shared "1"'])
    await expect(tablet.properties.write(user('shared'), text('other'))).rejects.toMatchObject({
      code: 'version_conflict',
      advice: 'retrieve_again',
    })
    expect(copyOf(tablet, 'shared')).toMatchObject({ value: 'mine', version: 2 })
    await tablet.properties.write(user('shared'), text('other'))
    expect(await property.value()).toBe('other')
  })
})

describe('cpFlags 512: the device wins', () => {
  test('its own property is put again whatever the server says meanwhile', async () => {
    const property = await make('wins', { cpFlags: 512, ofPhone: true })
    await phone.properties.synchronise()
    await phone.properties.write(own('wins'), text('mine'))
    expect(calls.at(-1)).toBe('PUT /device/v1/properties/device/wins')
    await property.change('of the portal')
    const change = { ...own('wins'), change: 'updated' } as const
    expect(await phone.properties.follow(change)).toMatchObject({ value: 'mine', version: 4 })
    expect(await property.value()).toBe('mine')
    await property.change('again')
    await phone.properties.synchronise()
    expect(await property.value()).toBe('mine')
  })

  test('a user’s property is taken over from the server', async () => {
    const property = await make('spreads', { cpFlags: 512 })
    await phone.properties.synchronise()
    await tablet.properties.synchronise()
    await phone.properties.write(user('spreads'), text('from the phone'))
    const change = { ...user('spreads'), change: 'updated' } as const
    expect(await tablet.properties.follow(change)).toMatchObject({ value: 'from the phone' })
    await property.change('from the portal')
    expect(await phone.properties.follow(change)).toMatchObject({ value: 'from the portal' })
  })

  test('what was written without the server is kept through a restart, and sent when it is back', async () => {
    const property = await make('offline', { cpFlags: 512 })
    await phone.properties.synchronise()
    isOnline = false
    const written = await phone.properties.write(user('offline'), text('later'))
    expect(written).toMatchObject({ value: 'later', isPending: true })
    const options = { storage, app, fetch: network, clock: api.clock }
    const restarted = await Device.open(options)
    expect(copyOf(restarted as Device, 'offline')).toMatchObject({ value: 'later' })
    isOnline = true
    await property.change('meanwhile')
    await restarted?.properties.synchronise()
    expect(await property.value()).toBe('later')
    expect(copyOf(restarted as Device, 'offline')).toMatchObject({ isPending: false })
    phone = restarted as Device
  })

  test('what the server refuses for good gives way', async () => {
    const property = await make('refused', { cpFlags: 512, ofPhone: true })
    await phone.properties.synchronise()
    await property.change('fixed', { cpFlags: 768, readOnly: true })
    await expect(phone.properties.write(own('refused'), text('mine'))).rejects.toMatchObject({
      code: 'property_read_only',
    })
    expect(copyOf(phone, 'refused')).toMatchObject({ value: 'fixed', readOnly: true })
  })
})

describe('copies', () => {
  test('go with the property, and when it is one without copies', async () => {
    const gone = await make('goes', { cpFlags: 768 })
    const plain = await make('turns', { cpFlags: 768 })
    await phone.properties.synchronise()
    await gone.remove()
    await phone.properties.follow({ ...user('goes'), change: 'updated' })
    expect(copyOf(phone, 'goes')).toBeUndefined()
    await plain.change('second', { cpFlags: 0 })
    await phone.properties.synchronise()
    expect(copyOf(phone, 'turns')).toBeUndefined()
    await plain.remove()
    await tablet.properties.synchronise()
    expect(copyOf(tablet, 'turns')).toBeUndefined()
  })

  test('events say which property to follow', async () => {
    const ending = new AbortController()
    const events: DeviceEvent[] = []
    const listening = (async () => {
      for await (const event of phone.events.listen({ signal: ending.signal })) {
        if (event.property?.name !== 'announced') continue
        events.push(event)
        ending.abort()
      }
    })()
    await until(async () => calls.includes('GET /device/v1/events'))
    await make('announced', { cpFlags: 768 })
    await listening
    expect(events[0]?.property).toEqual({ owner: 'user', name: 'announced', change: 'created' })
  })
})
