#!/usr/bin/env bash
# A newcomer's first minute with a release binary, and its figures: starts it with config/config.yml, chats,
# streams, ends it as `docker stop` does.
#
#   scripts/smoke.sh [BINARY]     default: target/release/ai-api
set -euo pipefail
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
binary=${1:-$target/release/ai-api}
folder=$(mktemp -d)
log=$folder/log
gateway=
trap '[ -z "$gateway" ] || kill -KILL "$gateway" 2>/dev/null || true; rm -rf "$folder"' EXIT

fail() {
    echo "smoke: FAILED: $1" >&2
    sed 's/^/    /' "$log" >&2
    exit 1
}

# Sets gateway (its process), url and took (milliseconds until it listens).
start() {
    local begin=${EPOCHREALTIME/./} line
    exec {out}< <(AI_API_CACHE_DIR=$folder/cache exec "$binary" --config config/config.yml --host 127.0.0.1 --port 0 2>>"$log")
    gateway=$!
    while IFS= read -r -t 120 -u "$out" line; do
        case $line in
        *"listening on http://"*)
            url=http://${line##*listening on http://}
            url=${url%/}
            took=$(((${EPOCHREALTIME/./} - begin) / 1000))
            return
            ;;
        esac
    done
    fail "it does not listen"
}

stop() {
    local code=0
    kill -TERM "$gateway"
    wait "$gateway" || code=$?
    gateway=
    exec {out}<&-
    [ "$code" = 0 ] || fail "it ended with code $code on SIGTERM"
}

ask() { # BODY
    curl --silent --show-error --fail-with-body --no-buffer --max-time 30 "$url/v1/chat/completions" \
        -H 'content-type: application/json' -d "$1" || fail "curl: $1"
}

megabytes() { awk -v bytes="$1" 'BEGIN { printf "%.1f MB", bytes / 1048576 }'; }

: >"$log"
"$binary" check config/config.yml >"$folder/check" || { cat "$folder/check"; fail "check config/config.yml"; }

start
cold=$took
stop
start
warm=$took
idle=$(ps -o rss= -p "$gateway")

answer=$(ask '{"model":"echo","messages":[{"role":"user","content":"good morning"}]}')
[[ $answer == *'good morning'* ]] || fail "the chat's answer is $answer"

stream=$(ask '{"model":"echo","stream":true,"messages":[{"role":"user","content":"good morning"}]}')
[[ $stream == 'data: {'* && $stream == *'data: [DONE]'* ]] || fail "the stream is $stream"

PORT=${url##*:} "$binary" health || fail "ai-api health"
for _ in {1..200}; do
    ask '{"model":"echo","messages":[{"role":"user","content":"good morning"}]}' >/dev/null
done
used=$(ps -o rss= -p "$gateway")
stop

echo "smoke: chat, stream, health, SIGTERM: ok"
echo "figures: binary $(megabytes "$(wc -c <"$binary")")"
for plugin in "$target"/plugins/*.wasm; do
    [ -e "$plugin" ] && echo "figures: plugin $(basename "$plugin" .wasm) $(($(wc -c <"$plugin") / 1024)) KB"
done
echo "figures: start $cold ms the first time (plugins are compiled), $warm ms after that"
echo "figures: memory (RSS) $(megabytes $((idle * 1024))) idle, $(megabytes $((used * 1024))) after 200 calls"
