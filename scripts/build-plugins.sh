#!/usr/bin/env bash
# Builds the plugins that the gateway embeds, and the misbehaving guests of the tests:
#   target/plugins/NAME.wasm, target/guests/NAME.wasm
# A compiler makes core modules for wasm32-unknown-unknown; ai-api-plugin-build makes components of them.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/wasm-toolchain.sh

target=${CARGO_TARGET_DIR:-target}
modules=$target/wasm/$wasm_target/plugin
# Room for JSON nested 127 levels deep, where the parser stops; what is not used costs no memory.
# Vectors, which the gateway has on every processor.
export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="-C link-arg=-zstack-size=262144 $wasm_heap -C target-feature=+simd128 ${WASM_RUSTFLAGS:-}"

names=() packages=() pairs=()
add() { # FOLDER PACKAGE-PREFIX OUTPUT-FOLDER
    local manifest name package
    for manifest in "$1"/*/Cargo.toml; do
        grep -qs '"cdylib"' "$manifest" || continue
        name=$(basename "$(dirname "$manifest")")
        package=$2$name
        names+=("$name")
        packages+=(--package "$package")
        pairs+=("$modules/${package//-/_}.wasm" "$target/$3/$name.wasm")
    done
}
add plugins ai-api-plugin- plugins
add tests/guests ai-api-guest- guests

first=
[ -d "$modules" ] || first=" (the first time takes minutes)"
echo "plugins: ${names[*]}, as WebAssembly components$first"
wasm_cargo build --locked --quiet --profile plugin --target "$wasm_target" --target-dir "$target/wasm" "${packages[@]}"
# It works for a moment, and is compiled for longer: without the optimisation that the gateway's tests want.
cargo run --locked --quiet --target-dir "$target/wasm" --config 'profile.dev.package."*".opt-level=0' \
    --package ai-api-plugin-build -- "${pairs[@]}"
