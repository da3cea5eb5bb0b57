#!/usr/bin/env bash
# Counts the instructions that each stage of a call takes, and compares them with bench/stages/instructions.tsv:
#   scripts/instructions.sh            fails where a stage costs more than it did
#   scripts/instructions.sh --accept   writes the file anew
# The release profile, and none of the gateway's dependencies in another shape: after `make build` only this is compiled.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/wasm-toolchain.sh

options=("$@")
command -v valgrind >/dev/null || setup_install "counting instructions" valgrind || true
# A gate that is left open unseen is none.
[ -z "${CI:-}" ] || options+=(--all)

cargo build --release --locked --package ai-api-bench-stages
# What the plugins were compiled with: another compiler makes other code of them.
if [ -n "${via_debian:-}" ]; then
    guests="$(/usr/bin/rustc --version | cut -d ' ' -f 1,2), standard library from source"
else
    guests="$(rustc --version | cut -d ' ' -f 1,2)"
fi
exec "${CARGO_TARGET_DIR:-target}/release/bench-stages" check bench/stages/instructions.tsv --guests "$guests" "${options[@]}"
