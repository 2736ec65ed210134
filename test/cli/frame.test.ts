import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'ava'
import { packageRoot } from '../../lib/base/paths.js'
import { copyPackage, gradcam } from '../support/package-copy.js'

test('--help and --version', (t) => {
  const help = gradcam(['--help'])
  t.is(help.code, 0)
  t.regex(help.stdout, /^Usage: gradcam COMMAND/m)
  t.regex(help.stdout, /^ {2}doctor +\S/m)
  t.is(help.stderr, '')
  const { version } = JSON.parse(readFileSync(join(packageRoot, 'package.json'), 'utf8')) as { version: string }
  t.is(gradcam(['--version']).stdout, `${version}\n`)
})

test('each command has a --help that names its options', (t) => {
  const commands = [...gradcam(['--help']).stdout.matchAll(/^ {2}(\w+) {2,}\S/gm)].map(([, name = '']) => name)
  t.true(commands.includes('doctor') && commands.includes('build'), commands.join())
  for (const name of commands) {
    const { code, stdout } = gradcam([name, '--help'])
    t.is(code, 0, name)
    t.true(stdout.startsWith(`Usage: gradcam ${name}`), stdout)
    t.regex(stdout, /--verbose/, name)
    t.is(gradcam(['help', name]).stdout, stdout)
  }
})

test('wrong calls exit with 2, in one line on stderr that says what would be right', (t) => {
  for (const [args, words] of [
    [['explode'], /Unknown command "explode"\. The commands are: .*doctor/],
    [['constructor'], /Unknown command "constructor"/],
    [['doctor', '--jsn'], /Unknown option '--jsn'.*gradcam doctor --help/],
    [['build', 'extra'], /Unexpected argument 'extra'.*gradcam build --help/],
    [['build', '--with', 'scons'], /--with requires cmake-js or node-gyp, not scons/],
    [['build', '--jobs', 'many'], /--jobs requires a number/],
    [['build', '--jobs'], /--jobs requires a value\. See: gradcam build --help/],
    [['build', '--jobs', '--werror'], /--jobs requires a value\. To give "--werror", write --jobs=--werror\./],
    [['doctor', '--json=yes'], /--json takes no value\. See: gradcam doctor --help/],
    [['doctor', '-h=1'], /Unknown option '-='\. See: gradcam doctor --help/],
    [['help', 'explode'], /Unknown command "explode"/],
  ] as const) {
    const { code, stdout, stderr } = gradcam(args)
    t.is(code, 2, args.join(' '))
    t.is(stdout, '')
    t.regex(stderr, words)
    t.regex(stderr, /^gradcam: [^\n]+\n$/, 'one line')
  }
  t.is(gradcam([]).code, 2, 'nothing at all prints the help')
})

test('a failure exits with 1, with its stack only when --verbose asks for it', (t) => {
  const root = copyPackage(t)
  const env = { LIBTORCH: '/no/such/folder' }
  const short = gradcam(['build'], env, root)
  t.is(short.code, 1)
  t.regex(short.stderr, /^gradcam: [^\n]+\/no\/such\/folder[^\n]+\n$/)
  const long = gradcam(['build', '--verbose'], env, root)
  t.is(long.code, 1)
  t.regex(long.stderr, /\n {4}at [\s\S]*ERR_LIBTORCH_NOT_FOUND/)
})
