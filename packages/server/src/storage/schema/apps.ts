/** Apps, with what their push services want, and the rules of their registration. */
export interface AppTables {
  app: AppTable
  registration_policy: RegistrationPolicyTable
  policy_assignment: PolicyAssignmentTable
}

export interface AppTable {
  tenant_id: string
  name: string
  /** Another one after every change: what was made of the credentials is thrown away. */
  revision: string
  /** JSON: chat, payment, tms. */
  categories: string
  /** JSON: the push services that the app has credentials of. */
  services: string
  /** JSON: those of them whose credentials are kept, but cannot be used for sending. */
  unusable_services: string
  /** JSON: what of the push configuration anybody may read who may read the app. */
  configuration: string
  /** JSON, sealed: the members that are secret; null: none is given. */
  sealed_credentials: Uint8Array | null
  created_at: number
  updated_at: number
}

/** The built-in policy has no row. */
export interface RegistrationPolicyTable {
  tenant_id: string
  name: string
  /** quorum, registrationUser. */
  type: string
  /** Of type quorum. */
  quorum: number | null
  /** Of type registrationUser; null: the user whom the version names. */
  user_id: string | null
  created_at: number
  updated_at: number
}

export interface PolicyAssignmentTable {
  tenant_id: string
  id: string
  app: string
  /** Empty: every platform. */
  platform: string
  /** Empty: every architecture. */
  architecture: string
  policy: string
  created_at: number
}
