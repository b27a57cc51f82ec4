#!/bin/sh
# Sets the project up (dependencies, build, a mongod) and runs one of its programs on the project's own Node.
# Usage: run.sh demo|test|bench|chaos|faults|pack|versions [arguments]
set -eu
cd "$(dirname "$0")/.."
program=$1
shift
case $program in
  demo) main=conformance/dist/demo/main.js ;;
  test) main=scripts/test.mjs ;;
  bench) main=bench/dist/main.js ;;
  versions) main=scripts/test-versions.mjs ;;
  pack) main=scripts/pack.mjs ;;
  chaos) main=bench/dist/chaos/main.js ;;
  faults) main=bench/dist/faults/main.js ;;
  *) echo "run.sh: unknown program: $program" >&2; exit 64 ;;
esac
if ! node scripts/bootstrap.mjs; then
  # Whoever reads the last line for counts must find some there.
  [ "$program" != test ] || echo '0 passed, 1 failed'
  exit 1
fi
# By path, not by name: this shell may remember where `node` was before the set-up installed the project's own.
PATH="$PWD/node_modules/.bin:$PATH"
export PATH
exec node_modules/.bin/node --enable-source-maps "$main" "$@"
