// clang-format over all of native, by .clang-format. With --check it changes nothing, and fails where it would.
//
//   node scripts/check/format-cpp.mjs [--check]
import { spawnSync } from 'node:child_process'
import { globSync } from 'tinyglobby'
import { pythonTool, root } from './python-tool.mjs'

const files = globSync(['native/**/*.{h,cc}', 'scripts/**/*.cc', 'test/**/*.{h,cc}'], { cwd: root }).sort()
const how = process.argv.includes('--check') ? ['--dry-run', '--Werror'] : ['-i']
const { status } = spawnSync(pythonTool('clang-format'), [...how, ...files], { cwd: root, stdio: 'inherit' })
if (status !== 0) {
  if (how.includes('--Werror')) console.error('The C++ above is not formatted: npm run format')
  process.exit(1)
}
