import { sameBytes } from '../compression-checks.js'
import { sample } from '../compression-samples.js'
import { cipherOf, DAMAGED, type EncryptionBench, opened, refusal, sealed } from './fixture.js'

const NAME = 'pbmPitr/rs0/20310203/20310203040506-1.20310203041506-1.oplog-x.gz'

export function bindingCases(bench: EncryptionBench): void {
  const { it } = bench
  const bytes = sample('mixed', 900_000)
  const bound = { boundTo: NAME }

  it('opens under the name that an object is bound to', async () => {
    const cipher = await cipherOf(bench)
    sameBytes(await opened(cipher, await sealed(cipher, bytes, bound), bound), bytes)
    sameBytes(await opened(cipher, await sealed(cipher, Buffer.alloc(0), bound), bound), Buffer.alloc(0))
  })

  it('refuses an object under any other name', async () => {
    const cipher = await cipherOf(bench)
    const packed = await sealed(cipher, bytes, bound)
    for (const boundTo of ['', NAME.replace('rs0', 'rs1'), NAME.slice(0, -1), `${NAME}x`, NAME.toUpperCase()])
      await refusal(cipher, packed, bytes, DAMAGED, JSON.stringify(boundTo), { boundTo })
    const empty = await sealed(cipher, Buffer.alloc(0), bound)
    await refusal(cipher, empty, Buffer.alloc(0), DAMAGED, 'an empty object', { boundTo: 'elsewhere' })
  })

  it('refuses a bound object where no name is given', async () => {
    const cipher = await cipherOf(bench)
    for (const boundTo of [NAME, '']) {
      await refusal(cipher, await sealed(cipher, bytes, { boundTo }), bytes, DAMAGED, JSON.stringify(boundTo))
    }
  })

  it('opens under any name what is bound to none', async () => {
    const cipher = await cipherOf(bench)
    sameBytes(await opened(cipher, await sealed(cipher, bytes), bound), bytes)
  })
}
