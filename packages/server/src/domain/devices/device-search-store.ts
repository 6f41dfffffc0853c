import { column, fragment, fragmentStatement, joined, tableAs } from '#storage/fragment.ts'
import type { Queries } from '#storage/queries.ts'
import type { DeviceTable } from '#storage/schema/devices.ts'
import { nothing } from '#storage/statement.ts'
import type { Condition } from '../conditions/condition.ts'
import { compileCondition } from '../conditions/condition-store.ts'
import type { Device } from './device.ts'
import { asDevice } from './device-row-store.ts'

const deviceFields = {
  id: column('d', 'id'),
  appName: column('d', 'app_name'),
  platform: column('d', 'platform'),
  appVersion: column('d', 'app_version'),
  sdkVersion: column('d', 'sdk_version'),
  lockState: column('d', 'lock_state'),
}

/** Searches devices by conditions. */
export class DeviceSearchStore {
  readonly #queries: Queries

  constructor(queries: Queries) {
    this.#queries = queries
  }

  /**
   * The devices of a user, by id, which is the order of enrolment; active ones only. Fields: id, appName, platform,
   * appVersion, sdkVersion, lockState.
   *
   * @throws DomainError `invalid_request` for a condition that cannot be asked.
   */
  async listOfUser(
    { tenantId, userId }: { readonly tenantId: string; readonly userId: string },
    condition: Condition | undefined,
    limit: number,
  ): Promise<Device[]> {
    const id = column('d', 'id')
    const conditions = [
      fragment`${column('l', 'tenant_id')} = ${tenantId}`,
      fragment`${column('l', 'user_id')} = ${userId}`,
      fragment`${column('l', 'ended_at')} is null`,
      fragment`${column('d', 'tenant_id')} = ${tenantId}`,
      fragment`${id} = ${column('l', 'device_id')}`,
      fragment`${column('d', 'status')} = ${'ACTIVE'}`,
      ...(condition === undefined ? [] : [compileCondition(condition, deviceFields)]),
    ]
    const rows = await this.#queries.all(
      fragmentStatement<DeviceTable>(
        fragment`(select d.* from ${tableAs('device_link', 'l')} cross join ${tableAs('device', 'd')} where ${joined(conditions, fragment` and `)} order by ${column('l', 'device_id')} limit ${limit})`,
      ),
      nothing,
    )
    return rows.map(asDevice)
  }
}
