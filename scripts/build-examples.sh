#!/usr/bin/env bash
# Builds the example plugins, each with its own language's tools: target/examples/LANGUAGE.wasm
#
#   scripts/build-examples.sh                    all of them
#   scripts/build-examples.sh python javascript  these
#
# A language whose tools can't be had is left out, and the tests of its example with it; in CI that is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/wasm-toolchain.sh

target=${CARGO_TARGET_DIR:-target}
out=$target/examples
mkdir -p "$out"

# Debian has clang and lld with their version in the name, or without. (No pipe: `grep -q` ends before compgen
# does, which pipefail now and then takes for a failure.)
has_command() { grep -qE "^$1(-[0-9]+)?$" < <(compgen -c "$1"); }
has_c() { has_command clang && has_command wasm-ld; }

tools_of() { # LANGUAGE : what it takes, or what to do
    case $1 in
    rust) ;;
    python)
        has_python || { setup_install "the example in Python" python3 python3-venv && has_python; } ||
            { echo "Python 3.10 or newer, with venv; on Debian: apt-get install python3-venv"; return 1; }
        ;;
    javascript)
        has_node || { setup_install "the example in JavaScript" nodejs npm && has_node; } ||
            { echo "Node.js 18 or newer, with npm; on Debian: apt-get install nodejs npm"; return 1; }
        ;;
    c)
        has_c || { setup_install "the example in C" clang lld && has_c; } ||
            { echo "clang and wasm-ld; on Debian: apt-get install clang lld"; return 1; }
        ;;
    esac
}

# All that a component is made of.
stamp_of() { # LANGUAGE
    local inputs=("plugins/examples/$1" wit/plugin-0.1.0 scripts/build-examples.sh plugins/build/src)
    [ "$1" = rust ] && inputs+=(plugins/sdk Cargo.toml rust-toolchain.toml)
    find "${inputs[@]}" \( -name build -o -name node_modules -o -name target -o -name __pycache__ \) -prune -o \
        -type f ! -name '*.wasm' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
}

# Leaves the module or component, and says where.
compile() { # LANGUAGE
    if [ "$1" = rust ]; then
        CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="-C link-arg=-zstack-size=262144 $wasm_heap -C target-feature=+simd128 ${WASM_RUSTFLAGS:-}" \
            wasm_cargo build --locked --quiet --release --target "$wasm_target" --target-dir "$out/rust-target" \
            --manifest-path plugins/examples/rust/Cargo.toml >&2
        echo "$out/rust-target/$wasm_target/release/plugin_acme.wasm"
    else
        "plugins/examples/$1/build.sh" >&2
        echo "plugins/examples/$1/build/plugin.wasm"
    fi
}

is_component() { [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' ')" = 0061736d0d000100 ]; }

languages=("$@")
[ $# -gt 0 ] || languages=(rust python javascript c)
for language in "${languages[@]}"; do
    [ -d "plugins/examples/$language" ] || setup_fail "there is no example in '$language'." "See plugins/examples"
    stamp=$(stamp_of "$language")
    if [ -s "$out/$language.wasm" ] && [ "$(cat "$out/$language.stamp" 2>/dev/null)" = "$stamp" ]; then
        continue
    fi
    rm -f "$out/$language.wasm" "$out/$language.stamp"
    # setup_install says what it does, on the same output as what is missing.
    if ! tools_of "$language" >"$out/$language.tools"; then
        why="the example in $language needs $(tail -n 1 "$out/$language.tools")"
        [ "${CI:-}" != true ] || setup_fail "$why" "In CI none is left out."
        echo "examples: left out: $why"
        continue
    fi
    echo "examples: building the one in $language"
    built=$(compile "$language")
    if is_component "$built"; then
        cp "$built" "$out/$language.wasm"
    else
        cargo run --locked --quiet --target-dir "$target/wasm" --config 'profile.dev.package."*".opt-level=0' \
            --package ai-api-plugin-build -- "$built" "$out/$language.wasm"
    fi
    printf '%s\n' "$stamp" >"$out/$language.stamp"
done
wc -c "$out"/*.wasm | awk '$2 != "total" { printf "examples: %s, %.2f MB\n", $2, $1 / 1000000 }'
