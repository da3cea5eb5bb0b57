#!/usr/bin/env bash
# Checks the shell scripts: their syntax always, more with shellcheck where it is installed.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts=(scripts/*.sh .ci/run plugins/examples/*/build.sh)
for script in "${scripts[@]}"; do
    bash -n "$script"
done
if command -v shellcheck >/dev/null; then
    echo "lint: shell scripts"
    shellcheck --external-sources "${scripts[@]}"
else
    echo "lint: only the syntax of shell scripts is checked, shellcheck is not installed"
fi
