#!/usr/bin/env bash
# What takes too long for every change, once a day: clang-tidy on everything, every source compiled alone, in which a missing
# include shows that a batch hides, the numeric tests as other processors would run them, and the campaign of
# docs/reliability.md: faults of disks, fuzzing, a soak and sanitizers.
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

step 'a job with each call of the system failing, and killed at each'
GRADCAM_TEST_FAULTS_EVERY=1 npx ava dist/test/jobs/faults.test.js

# Other seeds every day.
step 'fuzzing'
first=$(($(date +%s) / 86400 * 25000))
node scripts/fuzz/fuzz.mjs models images api lists programs plans weights --seeds "$first-$((first + 24999))" --minutes 60

step 'soak'
node --expose-gc scripts/check/soak.mjs --count 20000

step 'the server under twice what it can answer'
node scripts/check/overload.mjs

step 'a queue whose workers are killed 50 times'
GRADCAM_QUEUE_KILLS=50 npx ava dist/test/queue/faults.test.js

step 'a queue of a million inputs'
node scripts/queue/million.mjs

# coverage is not a sanitizer: it says which lines of the C++ have run.
for sanitizer in address thread coverage; do
  step "sanitizer: $sanitizer"
  node scripts/check/sanitize.mjs "$sanitizer"
done

step 'coverage'
GRADCAM_UNITY=0 npm run coverage

step 'done'
