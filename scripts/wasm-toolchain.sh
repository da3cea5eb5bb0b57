# Sourced: defines `wasm_cargo`, a cargo that can compile for wasm32-unknown-unknown.
#
# With rustup the target comes by itself from rust-toolchain.toml. Where rustup may not fetch anything
# (RUSTUP_AUTO_INSTALL=0) or there is none, Debian's rustc-web serves, which brings the standard library's
# source instead of a compiled one.

wasm_target=wasm32-unknown-unknown

if [ -d "$(rustc --print sysroot)/lib/rustlib/$wasm_target" ]; then
    wasm_cargo() { cargo "$@"; }
elif [ "${RUSTUP_AUTO_INSTALL:-1}" != 0 ] && command -v rustup >/dev/null && rustup target add "$wasm_target"; then
    wasm_cargo() { cargo "$@"; }
else
    if ! [ -x /usr/bin/rustc ] || ! [ -d "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library" ]; then
        if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
            echo "setup: installing Debian's rustc-web, cargo-web and rust-web-src for the target $wasm_target"
            apt-get update -qq && apt-get install -y -qq rustc-web cargo-web rust-web-src >/dev/null
        else
            echo "setup: the Rust target $wasm_target is missing. Run: rustup target add $wasm_target" >&2
            exit 1
        fi
    fi
    # rustup's own linker, wherever its sysroot has it; Debian's rustc-web comes with none.
    linker=$(find "$(rustc --print sysroot)/lib/rustlib" -name rust-lld 2>/dev/null | head -n 1)
    if [ -z "$linker" ]; then
        linker=$(command -v wasm-ld wasm-ld-14 | head -n 1) || true
        [ -n "$linker" ] || { echo "setup: no WebAssembly linker found. Install Debian's package lld" >&2; exit 1; }
    fi
    wasm_cargo() {
        local command=$1
        shift
        RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=$linker \
            /usr/bin/cargo "$command" -Z build-std=std,panic_abort "$@"
    }
fi
