#!/usr/bin/env bash
# Sourced, from the top folder: finds the tools that a build needs, installs what it may (Debian's packages
# where root), and otherwise says the one thing to do.
#
#   . scripts/setup.sh            a Rust toolchain and a C compiler
#   . scripts/setup.sh test       these, and the servers that tests start: Postgres and Redis, where they can be had
#   . scripts/setup.sh clients    these, and Python and Node for tests/clients
#   . scripts/setup.sh ci         these, the servers, and shellcheck if it can be had

rust_wanted=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)

setup_fail() { # WHAT-IS-WRONG THE-ONE-THING-TO-DO
    printf 'setup: %s\nsetup: %s\n' "$1" "$2" >&2
    exit 1
}

# setup_install WHAT-FOR PACKAGE… : true when Debian's packages are in, false when they can't be.
setup_install() {
    local reason=$1 log
    shift
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || return 1
    echo "setup: installing Debian's $* ($reason)"
    log=$(mktemp)
    # A foreign package source that doesn't answer fails the update; what is needed may be there all the same.
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 update >"$log" 2>&1 || true
    if DEBIAN_FRONTEND=noninteractive apt-get -qq -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "$@" \
        >>"$log" 2>&1 </dev/null; then
        rm -f "$log"
    else
        tail -n 5 "$log" >&2
        rm -f "$log"
        return 1
    fi
}

# at_least HAVE WANTED : compares versions.
at_least() {
    [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]
}

setup_rust() {
    if ! command -v cargo >/dev/null; then
        # rustup puts it there; only new shells have it in their PATH.
        export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"
        command -v cargo >/dev/null || setup_fail "cargo is missing." "Install Rust, see https://rustup.rs"
    fi
    if [ -z "${RUSTUP_TOOLCHAIN:-}" ] && command -v rustup >/dev/null; then
        local installed name
        installed=$(rustup toolchain list 2>/dev/null | cut -d ' ' -f 1) || true
        if ! grep -q "^$rust_wanted" <<<"$installed"; then
            # The same release may be here under another name, "stable".
            for name in $installed; do
                if [ "$(rustup run "$name" rustc --version 2>/dev/null | cut -d ' ' -f 2)" = "$rust_wanted" ]; then
                    export RUSTUP_TOOLCHAIN=$name
                    return
                fi
            done
            [ "${RUSTUP_AUTO_INSTALL:-1}" = 0 ] || echo "setup: rustup fetches Rust $rust_wanted"
        fi
    fi
    cargo --version >/dev/null || setup_fail "Rust $rust_wanted is not here." "Run: rustup toolchain install $rust_wanted"
    local have
    have=$(rustc --version | cut -d ' ' -f 2)
    at_least "$have" "$rust_wanted" ||
        setup_fail "Rust $have is too old, $rust_wanted is needed." "Install Rust with rustup, see https://rustup.rs"
}

setup_c() {
    command -v "${CC:-cc}" >/dev/null || setup_install "a C compiler" gcc libc6-dev ||
        setup_fail "no C compiler (${CC:-cc}) is here." "Install one; on Debian: apt-get install gcc libc6-dev"
}

has_postgres() { compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null; }
has_redis() { command -v redis-server >/dev/null || command -v valkey-server >/dev/null; }

# Tests that need one are skipped where it is missing, and fail there with CI=true.
setup_servers() {
    has_postgres || setup_install "tests" postgresql ||
        echo "setup: Postgres is missing, tests with it are skipped; on Debian: apt-get install postgresql"
    has_redis || setup_install "tests" redis-server ||
        echo "setup: Redis is missing, tests with it are skipped; on Debian: apt-get install redis-server"
}

# Debian's python3 comes without what makes a virtual environment.
has_python() { python3 -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; }
has_node() { command -v npm >/dev/null && node -e 'process.exit(parseInt(process.versions.node) < 18 ? 1 : 0)' 2>/dev/null; }

setup_clients() {
    has_python || { setup_install "test clients" python3 python3-venv && has_python; } ||
        setup_fail "Python 3.10 or newer, with venv, is missing." "Install it; on Debian: apt-get install python3-venv"
    has_node || { setup_install "test clients" nodejs npm && has_node; } ||
        setup_fail "Node.js 18 or newer, with npm, is missing." "Install it; on Debian: apt-get install nodejs npm"
    command -v curl >/dev/null || setup_install "test clients" curl ca-certificates ||
        setup_fail "curl is missing." "Install it; on Debian: apt-get install curl"
}

setup_rust
setup_c
case ${1:-} in
test) setup_servers ;;
clients) setup_clients ;;
ci)
    setup_clients
    setup_servers
    command -v shellcheck >/dev/null || setup_install "lint" shellcheck || true
    ;;
esac
