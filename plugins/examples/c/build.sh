#!/usr/bin/env bash
# Compiles this folder: leaves the core module build/plugin.wasm, of which `ai-api plugin build` makes the component.
#
# No libc and no WASI: what of them is needed is in memory.c and libc/. clang and lld are LLVM's, of version 14 or newer.
# To make bindings/ anew:
#   cargo install wit-bindgen-cli@0.61.1 --no-default-features --features c
#   wit-bindgen c --world provider-plugin --out-dir bindings WIT-FOLDER
set -euo pipefail
cd "$(dirname "$0")"

# Debian calls them clang-14 and wasm-ld-14 as well, or only so.
newest() { command -v "$1" || compgen -c "$1-" | grep -E "^$1-[0-9]+$" | sort -V | tail -n 1 | grep .; }
clang=$(newest clang) || { echo "clang is missing. On Debian: apt-get install clang" >&2; exit 1; }
linker=$(newest wasm-ld) || { echo "wasm-ld is missing. On Debian: apt-get install lld" >&2; exit 1; }

mkdir -p build
for source in plugin json memory bindings/provider_plugin; do
    "$clang" --target=wasm32-unknown-unknown -std=c11 -O2 -ffreestanding -nostdlib -mbulk-memory -isystem libc \
        -Wall -Wextra -Werror -c "$source.c" -o "build/$(basename "$source").o"
done
# The last object holds the interface, for whoever makes a component of the module.
"$linker" --no-entry --strip-debug --gc-sections -z stack-size=262144 -o build/plugin.wasm \
    build/{plugin,json,memory,provider_plugin}.o bindings/provider_plugin_component_type.o
