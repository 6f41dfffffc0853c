/**
 * Decides approvals until it is killed: `asked <id> <decision>` on standard output before each decision goes in, `done <id>`
 * when it was answered; first `device <id> <user>`. The device signs with CMS, sixteen decisions at a time.
 *
 *     node decide.ts <database url>
 */
import { createApprovalBench } from '../../support/approvals.ts'

const [url = ''] = process.argv.slice(2)
const bench = await createApprovalBench('sqlite', { url })
const userId = await bench.createUser()
const phone = await bench.enrol(userId, { pin: '4711' })
await phone.certify()
process.stdout.write(`device ${phone.id} ${userId}\n`)
await Promise.all(
  Array.from({ length: 16 }, async () => {
    for (;;) {
      const { id } = await bench.ask(userId, {}, bench.ast)
      const decision = await phone.bySignature(await phone.retrieve(id))
      process.stdout.write(`asked ${id} ${decision.signedData}\n`)
      await phone.decide(id, decision)
      process.stdout.write(`done ${id}\n`)
    }
  }),
)
