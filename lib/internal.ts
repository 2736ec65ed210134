// What this repository's own scripts take from lib besides the public API. Not exported by the package: they import it
// as '#internal' (package.json, `imports`).
export { hashSources, platform, readBuildInfo } from './addon/build-info.js'
export { prebuiltPackage } from './setup/prebuilt.js'
export { compareVersions, describeLibTorch } from './addon/describe.js'
export { keepLibraries, linkedWith } from './setup/libtorch/steps.js'
export { objectSources } from './setup/build-with.js'
export { packageRoot } from './base/paths.js'
export { architectureFile, architecturesFolder } from './architectures/architecture.js'
export { lastLines, run, which } from './base/processes.js'
export { formatTable } from './cli/table.js'
export { makeMapExplainers } from './methods/map-explainer.js'
export { readPlan } from './model/open-plan.js'
export { methodOptions } from './methods/options.js'
