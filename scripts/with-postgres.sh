#!/usr/bin/env bash
# Runs a command beside a Postgres of its own, in a temporary folder: AI_API_TEST_POSTGRES has its URL.
#
#   scripts/with-postgres.sh COMMAND…
#
# Where Postgres isn't installed nothing is run, which is an error with CI=true.
set -euo pipefail

port=${AI_API_TEST_POSTGRES_PORT:-54399}
programs=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -n 1) || true
[ -n "$programs" ] || programs=$(dirname "$(command -v initdb || echo nowhere/initdb)")
if [ ! -x "$programs/initdb" ]; then
    echo "not tested: Postgres is missing; on Debian: apt-get install postgresql" >&2
    [ "${CI:-}" != true ] || exit 1
    exit 0
fi

folder=$(mktemp -d)
server=
end() {
    [ -z "$server" ] || kill -QUIT "$server" 2>/dev/null || true
    rm -rf "$folder"
}
trap end EXIT

# It refuses to run as root.
as_owner=()
if [ "$(id -u)" = 0 ]; then
    owner=$(id -un postgres 2>/dev/null || echo nobody)
    chown "$owner" "$folder"
    as_owner=(setpriv --reuid "$owner" --regid "$(id -g "$owner")" --clear-groups --pdeathsig QUIT)
fi
(cd / && "${as_owner[@]}" "$programs/initdb" --no-sync -A trust -U ai_api -E UTF8 --locale=C -D "$folder/data") >/dev/null
cd_root() { cd / && exec "$@"; }
(cd_root "${as_owner[@]}" "$programs/postgres" -D "$folder/data" -p "$port" -c listen_addresses=127.0.0.1 \
    -c unix_socket_directories= -c fsync=off) >"$folder.log" 2>&1 &
server=$!
for _ in $(seq 100); do
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null && break
    kill -0 "$server" 2>/dev/null || { cat "$folder.log" >&2; exit 1; }
    sleep 0.1
done
rm -f "$folder.log"
AI_API_TEST_POSTGRES="postgresql://ai_api@127.0.0.1:$port/postgres" "$@"
