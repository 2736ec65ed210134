import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ExecutionContext } from 'ava'
import { packageRoot } from '../../lib/base/paths.js'

/** A folder that is gone when the test has ended, or where it is for several tests, when their process has. */
export function temporaryFolder(t: ExecutionContext | null): string {
  const folder = mkdtempSync(join(tmpdir(), 'gradcam-test-'))
  const remove = (): void => rmSync(folder, { recursive: true, force: true })
  if (t) t.teardown(remove)
  else process.once('exit', remove)
  return folder
}

/**
 * This package once more, in a folder of its own, with nothing built and with a small addon for a source: what is done
 * to it does not touch the package under test, and building it takes a second or two.
 */
export function copyPackage(t: ExecutionContext | null): string {
  const root = temporaryFolder(t)
  cpSync(join(packageRoot, 'dist', 'lib'), join(root, 'dist', 'lib'), { recursive: true })
  for (const file of ['package.json', 'CMakeLists.txt', 'native/binding.gyp', 'native/flags.txt']) {
    cpSync(join(packageRoot, file), join(root, file))
  }
  mkdirSync(join(root, 'native', 'core'))
  mkdirSync(join(root, 'native', 'node'))
  writeFileSync(join(root, 'native', 'node', 'addon.cc'), smallAddon())
  // CMake makes no target of nothing.
  writeFileSync(join(root, 'native', 'core', 'core.cc'), 'namespace gradcam {}\n')
  symlinkSync(join(packageRoot, 'node_modules'), join(root, 'node_modules'))
  return root
}

/** An addon with as much of the binding as loading it for a trial asks for. */
export function smallAddon(torchVersion = 'small'): string {
  return `
#include <napi.h>
#include <torch/script.h>

static Napi::Value info(const Napi::CallbackInfo& call) {
  auto facts = Napi::Object::New(call.Env());
  facts.Set("torchVersion", "${torchVersion}");
  facts.Set("cudaBuild", false);
  facts.Set("cuda", false);
  facts.Set("cudaDevices", 0);
  facts.Set("threads", 1);
  return facts;
}

static Napi::Value nothing(const Napi::CallbackInfo& call) { return call.Env().Undefined(); }

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  exports.Set("info", Napi::Function::New(env, info));
  exports.Set("tensor", Napi::Function::New(env, nothing));
  exports.Set("operator", Napi::Function::New(env, nothing));
  return exports;
}

NODE_API_MODULE(gradcam, init)
`
}

export interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs Node to its end. Variables that are undefined are taken out of the environment. */
export function runNode(args: readonly string[], env: NodeJS.ProcessEnv = {}, cwd?: string): Ended {
  const options = { env: { ...process.env, ...env }, encoding: 'utf8', ...(cwd ? { cwd } : {}) } as const
  const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, options)
  return { code: status, signal, stdout, stderr }
}

/** Runs the command line of a package (the one under test unless told). */
export function gradcam(args: readonly string[], env: NodeJS.ProcessEnv = {}, root = packageRoot): Ended {
  return runNode([join(root, 'dist', 'lib', 'cli', 'main.js'), ...args], env)
}
