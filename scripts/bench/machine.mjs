import { availableParallelism, cpus, loadavg, platform, release, totalmem } from 'node:os'

// When this is loaded: later the run itself is the load.
const [load = NaN] = loadavg()

/**
 * What the figures were measured on.
 *
 * @param {import('./types.d.mts').LibTorch} libtorch
 * @param {{ threads: number, device: string }} options
 */
export function machine(libtorch, { threads, device }) {
  const variables = Object.keys(process.env).filter((name) => /^(OMP|GOMP|KMP|MKL|ATEN|ONEDNN)_/.test(name))
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()}`,
    loadAtStart: load,
    node: process.version,
    libtorch: libtorch.version,
    threads,
    device,
    environment: Object.fromEntries(variables.map((name) => [name, process.env[name]])),
  }
}
