import { existsSync } from 'node:fs'
import { run } from '../../base/processes.js'

/**
 * Whether this machine has an NVIDIA driver that a program can use. It decides which build of PyTorch pip installs.
 * `exists` is there for tests.
 */
export async function hasNvidiaDriver(exists: (file: string) => boolean = existsSync): Promise<boolean> {
  if (process.platform === 'darwin') return false
  // The device file is there in a container too when the GPU was handed in; /proc/driver/nvidia would be in any case.
  if (exists('/dev/nvidiactl')) return true
  // WSL has the driver of the Windows outside.
  if (exists('/dev/dxg') && exists('/usr/lib/wsl/lib/libcuda.so.1')) return true
  return (await run('nvidia-smi', ['-L'])).code === 0
}
