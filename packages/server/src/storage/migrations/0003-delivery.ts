import type { ColumnTypes } from '../dialect.ts'

/** The way out: what is to be sent, and the webhook endpoints. `schema/delivery.ts` explains the columns. */
export function delivery(types: ColumnTypes): string[] {
  const { text, integer, bytes } = types
  const table = (name: string, columns: string, options = types.tableOptions): string =>
    `create table ${name} (${columns})${options}`

  return [
    table(
      'outbox',
      `
      tenant_id ${text} not null, target ${text} not null, id ${text} not null, kind ${text} not null,
      queue ${text} not null, order_key ${text} not null, topic ${text} not null, status ${text} not null,
      position ${integer} not null, due_at ${integer} not null, deadline_at ${integer} not null, claim ${integer} not null,
      tries ${integer} not null, attempts ${text} not null, envelope ${text} not null, payload ${bytes} not null,
      created_at ${integer} not null, settled_at ${integer},
      primary key (tenant_id, target, id)`,
      types.largeRowOptions,
    ),
    `create index outbox_queue on outbox (queue, order_key, position, id) where status = 'WAITING'`,
    table(
      'webhook_endpoint',
      `
      tenant_id ${text} not null, id ${text} not null, url ${text} not null, description ${text} not null,
      event_types ${text}, enabled ${integer} not null, disabled_reason ${text}, failing_since ${integer},
      sealed_secret ${bytes} not null, sealed_previous ${bytes}, previous_valid_until ${integer},
      created_at ${integer} not null, updated_at ${integer} not null, secret_rotated_at ${integer} not null,
      primary key (tenant_id, id)`,
    ),
    table(
      'webhook_subscription',
      `
      tenant_id ${text} not null, event_type ${text} not null, endpoint_id ${text} not null, queue ${text} not null,
      primary key (tenant_id, event_type, endpoint_id)`,
    ),
  ]
}
