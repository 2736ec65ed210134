import test from 'ava'
import { join } from 'node:path'
import { packageRoot } from '../../lib/base/paths.js'
import { run } from '../../lib/base/processes.js'
import { smallNets } from '../support/models.js'

const nets = await smallNets()

// The nodes of a split refer to functions of the copy that it was made of, which LibTorch names when an operator fails. glibc
// overwrites freed memory where MALLOC_PERTURB_ is set, so that a name of a freed function ends the process.
for (const name of ['plain', 'control_flow', 'vit'])
  test(`errors of operators in a split name nothing that was freed: ${name}`, async (t) => {
    const program = `
      const { GradCam, ScriptModule, Tensor, suggestLayers } = await import(${JSON.stringify(join(packageRoot, 'dist/lib/index.js'))})
      const model = await ScriptModule.load(process.argv[1])
      using good = Tensor.ones(JSON.parse(process.argv[2]))
      const [{ layer, reshape }] = await suggestLayers(model, good)
      const codes = []
      for (const shape of [[1, 4, 16, 20], [1, 3, 1, 1], [2, 1, 8, 8], [1, 3, 64], [1, 3, 2, 2], [3, 3, 7, 500]]) {
        using cam = new GradCam(model, [layer], { ...(reshape && { reshape: { [layer]: reshape } }), execution: 'split' })
        using input = Tensor.ones(shape)
        try {
          ;(await cam.explain(input, { target: 0 })).dispose()
          codes.push('ok')
        } catch (error) {
          codes.push(error.code)
        }
      }
      console.log(codes.join(' '))
      process.exit(0)`
    const args = ['--input-type=module', '--eval', program, nets.file(name), JSON.stringify(nets.input(name).shape)]
    const ended = await run(process.execPath, args, { env: { ...process.env, MALLOC_PERTURB_: '170' } })
    t.is(ended.signal, null, ended.stderr)
    t.is(ended.code, 0, ended.stderr)
    t.regex(ended.stdout, /ERR_TORCH/)
  })
