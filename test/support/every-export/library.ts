// The library that the subjects belong to, for scripts that call them: 'libtorch-gradcam' gives a script that of dist/bundle,
// whose classes are others.
export * from '../../../lib/index.js'
