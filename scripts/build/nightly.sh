#!/usr/bin/env bash
# What takes too long for every change, once a day: clang-tidy on everything, every source compiled alone, in which a missing
# include shows that a batch hides, and the numeric tests as other processors would run them.
set -euo pipefail
cd "$(dirname "$0")/../.."
export CI=true GRADCAM_WERROR=1

step() { printf '\n== %s (%d s)\n' "$1" "$SECONDS"; }

step 'dependencies'
npm ci

step 'build, every source alone'
for builder in node-gyp cmake-js; do
  rm -rf build
  GRADCAM_UNITY=0 npm run build -- --with "$builder"
  node scripts/build/smoke.mjs "$builder"
done

step 'clang-tidy on everything'
npm run lint:cpp -- --all

step 'numeric tests as on other processors'
GRADCAM_UNITY=0 npm run test:processors

step 'coverage'
GRADCAM_UNITY=0 npm run coverage

step 'done'
