#!/usr/bin/env bash
# Makes the component build/plugin.wasm of this folder, with Python 3.10 or newer and what requirements.txt names.
set -euo pipefail
cd "$(dirname "$0")"
wit=../../../wit/plugin-0.1.0

if ! cmp -s requirements.txt build/installed; then
    python3 -m venv --clear build/venv
    build/venv/bin/pip install --quiet --disable-pip-version-check --requirement requirements.txt
    cp requirements.txt build/installed
fi
# CPython asks for files, clocks and sockets, which a plugin doesn't get: --stub-wasi takes these imports out. Using one
# of them all the same ends the call.
# Its own backtrace would bury what it says of your code.
RUST_BACKTRACE=0 build/venv/bin/componentize-py --quiet --wit-path "$wit" --world provider-plugin \
    componentize --stub-wasi --python-path . --output build/plugin.wasm app
