#!/usr/bin/env bash
# Sourced, from the top folder: defines `wasm_cargo`, a cargo that can compile for wasm32-unknown-unknown.
#
# With rustup the target comes by itself from rust-toolchain.toml. Where rustup may not fetch anything
# (RUSTUP_AUTO_INSTALL=0) or there is none, Debian's rustc-web serves, which brings the standard library's
# source instead of a compiled one.

. scripts/setup.sh

wasm_target=wasm32-unknown-unknown

has_wasm_target() {
    [ -d "$(rustc --print sysroot)/lib/rustlib/$wasm_target/lib" ]
}

# Debian's Rust, new enough and with the standard library's source.
debian_rust() {
    [ -x /usr/bin/cargo ] && [ -x /usr/bin/rustc ] || return 1
    [ -d "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library" ] || return 1
    at_least "$(/usr/bin/rustc --version | cut -d ' ' -f 2)" "$rust_wanted"
}

# The linker: rustup's own, wherever its sysroot has it, else Debian's.
wasm_linker() {
    find "$(rustc --print sysroot)/lib/rustlib" -name rust-lld -perm -u+x -print -quit 2>/dev/null | grep . ||
        command -v rust-lld || compgen -c wasm-ld | sort -V | tail -n 1 | grep .
}

# A heap from the start, so that a usual call never asks for more memory; LLVM's linkers before 18 don't know it.
export wasm_heap="-C link-arg=--initial-heap=655360"

if has_wasm_target; then
    :
elif [ "${RUSTUP_AUTO_INSTALL:-1}" != 0 ] && command -v rustup >/dev/null && rustup target add "$wasm_target" && has_wasm_target; then
    :
else
    debian_rust || { setup_install "Rust for $wasm_target" rustc-web cargo-web rust-web-src && debian_rust; } ||
        setup_fail "the Rust target $wasm_target is missing." "Run: rustup target add $wasm_target"
    linker=$(wasm_linker) || { setup_install "a linker for $wasm_target" lld && linker=$(wasm_linker); } ||
        setup_fail "a linker for $wasm_target is missing." "Install one; on Debian: apt-get install lld"
    via_debian=1
    flavour=()
    [ "$(basename "$linker")" != rust-lld ] || flavour=(-flavor wasm)
    help=$("$linker" "${flavour[@]}" --help 2>/dev/null || true)
    [[ $help == *--initial-heap* ]] || wasm_heap=
fi

# RUSTFLAGS of the caller are for the machine's own code, and would replace what the target is given.
wasm_cargo() (
    local command=$1
    shift
    unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS
    if [ -n "${via_debian:-}" ]; then
        export RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$linker
        /usr/bin/cargo "$command" -Z build-std=std,panic_abort "$@"
    else
        cargo "$command" "$@"
    fi
)
