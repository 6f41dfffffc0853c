/** Where the providers are called: URLs without a slash at the end; of what gives access tokens the whole. */
export interface PushEndpoints {
  readonly fcm: string
  readonly 'fcm-token': string
  readonly apns: string
  readonly 'apns-development': string
  readonly hms: string
  readonly 'hms-token': string
}

export const pushEndpointNames = [
  'fcm',
  'fcm-token',
  'apns',
  'apns-development',
  'hms',
  'hms-token',
] as const satisfies readonly (keyof PushEndpoints)[]

export const pushEndpoints: PushEndpoints = {
  fcm: 'https://fcm.googleapis.com',
  'fcm-token': 'https://oauth2.googleapis.com/token',
  apns: 'https://api.push.apple.com',
  'apns-development': 'https://api.sandbox.push.apple.com',
  hms: 'https://push-api.cloud.huawei.com',
  'hms-token': 'https://oauth-login.cloud.huawei.com/oauth2/v3/token',
}
