#!/usr/bin/env bash
# Makes the component build/plugin.wasm of this folder, with Node.js 18 or newer and what package-lock.json names.
set -euo pipefail
cd "$(dirname "$0")"
wit=../../../wit/plugin-0.1.0

if ! cmp -s package-lock.json node_modules/.installed; then
    npm ci --loglevel=error --no-audit --no-fund >/dev/null
    cp package-lock.json node_modules/.installed
fi
mkdir -p build
# QuickJS asks for clocks and randomness, which a plugin needn't have: --stub-wasi takes these imports out. Using one of
# them all the same ends the call. --sync: the interface has no asynchronous functions.
node_modules/.bin/componentize-qjs --sync --stub-wasi --wit "$wit" --world provider-plugin \
    --js plugin.js --output build/plugin.wasm >build/log 2>&1 || { cat build/log >&2; exit 1; }
