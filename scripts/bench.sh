#!/usr/bin/env bash
# Measures the release binary beside nginx and direct calls; docs/performance.md says how to read it.
#
#   scripts/bench.sh [OPTION…]    see --help; make bench builds the binary first
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/setup.sh

target=${CARGO_TARGET_DIR:-target}

# Debian's package starts a server on port 80 where systemd runs: nobody asked for that.
if ! PATH=$PATH:/usr/sbin command -v nginx >/dev/null && [ ! -d /run/systemd/system ]; then
    setup_install "what the gateway is compared with" nginx || true
fi
cargo build --release --locked --quiet --package ai-api-bench-load
exec "$target/release/ai-api-bench-load" --binary "$target/release/ai-api" --folder "$target/bench" "$@"
