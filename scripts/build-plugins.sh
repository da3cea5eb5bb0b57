#!/usr/bin/env bash
# Builds the plugins that the gateway embeds, and the misbehaving guests of the tests:
#   target/plugins/NAME.wasm, target/guests/NAME.wasm
# A compiler makes core modules for wasm32-unknown-unknown; ai-api-plugin-build makes components of them.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/wasm-toolchain.sh

target=${CARGO_TARGET_DIR:-target}
triple=wasm32-unknown-unknown
# A small stack, for every instance has one; see ARCHITECTURE.md, "The sandbox".
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="-C link-arg=-zstack-size=65536 ${WASM_RUSTFLAGS:-}"

packages=() pairs=()
add() { # FOLDER PACKAGE-PREFIX OUTPUT-FOLDER
    for manifest in "$1"/*/Cargo.toml; do
        [ -e "$manifest" ] || continue
        grep -q '"cdylib"' "$manifest" || continue
        local name package
        name=$(basename "$(dirname "$manifest")")
        package="$2$name"
        packages+=(-p "$package")
        pairs+=("$target/wasm/$triple/plugin/${package//-/_}.wasm" "$target/$3/$name.wasm")
    done
}
add plugins ai-api-plugin- plugins
add tests/guests ai-api-guest- guests

wasm_cargo build --profile plugin --target "$triple" --target-dir "$target/wasm" "${packages[@]}"
cargo run --quiet --package ai-api-plugin-build -- "${pairs[@]}"
