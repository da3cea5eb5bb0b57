#!/usr/bin/env python3
"""Runs OpenAI's SDKs, in Python and in Node, the README's commands and the plugin guide's against the real binary.

    make test-clients                 sets everything up first
    tests/clients/run.py -k stream    arguments go to pytest; Node's tests are left out then

AI_API_BIN names another binary than target/debug/ai-api.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
import venv
from pathlib import Path

import upstream
from gateway import BINARY, TARGET, TOP, Gateway

HERE = Path(__file__).resolve().parent
PYTHON_TESTS = HERE / "python"
NODE_TESTS = HERE / "node"
VENV = TARGET / "clients/venv"

MASTER_KEY = "sk-master-of-the-operator"
# Beside the operator's models: what the SDKs can also do.
MORE_MODELS = {
    "text-embedding-3-small": ("openai/text-embedding-3-small", "OPENAI_API_KEY"),
    "gemini-embedding-001": ("gemini/gemini-embedding-001", "GEMINI_API_KEY"),
    "claude-sonnet-4-6": ("anthropic/claude-sonnet-4-6", "ANTHROPIC_API_KEY"),
    "gemini-2.5-flash": ("gemini/gemini-2.5-flash", "GEMINI_API_KEY"),
    "claude-with-a-wrong-key": ("anthropic/claude-sonnet-4-6", "WRONG_KEY"),
}
# The guide builds plugins.
TESTS_SECONDS = 600


def main(arguments: list[str]) -> int:
    if not BINARY.exists():
        print(f"clients: {BINARY} is missing. Run: make test-clients", file=sys.stderr)
        return 1
    python = set_up_python()
    if not arguments:
        set_up_node()

    provider = upstream.start()
    operator = Gateway("operator", operator_config(), operator_environment(provider))
    newcomer = Gateway("newcomer", TOP / "config/config.yml", {})
    environment = os.environ | {
        "GATEWAY": operator.origin,
        "GATEWAY_KEY": MASTER_KEY,
        "NEWCOMER_GATEWAY": newcomer.origin,
        "NEWCOMER_PYTHON": str(python),
        "NEWCOMER_BINARY": str(BINARY),
        "NEWCOMER_TARGET": str(TARGET),
        # The SDKs take these for defaults; a test says all it needs.
        "OPENAI_API_KEY": "",
        "OPENAI_BASE_URL": "",
        "NO_PROXY": "*",
    }
    pytest = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", *arguments]
    failed = []
    passed_and_failed = [0, 0]
    try:
        runs = [("Python", pytest, PYTHON_TESTS)]
        if not arguments:
            runs.append(("Node", ["node", "--test", "--test-reporter=spec"], NODE_TESTS))
        for name, command, folder in runs:
            print(f"clients: {name}", flush=True)
            if run(command, folder, environment, passed_and_failed) != 0:
                failed.append(name)
    finally:
        codes = [operator.stop(), newcomer.stop()]
    if codes != [0, 0]:
        print(f"clients: the gateways did not end cleanly, but with {codes}", file=sys.stderr)
        failed.append("the gateway's end")
    print("clients: {} passed, {} failed".format(*passed_and_failed))
    if failed:
        print(f"clients: FAILED ({', '.join(failed)}); the gateways' logs are in {operator.log.parent}", file=sys.stderr)
    return 1 if failed else 0


def operator_config() -> Path:
    """The operator's own file as it is, included, and more models beside it."""
    config = {
        "include": [str(TOP / "config/examples/homestack/config.yml")],
        "model_list": [
            {"model_name": name, "litellm_params": {"model": model, "api_key": f"os.environ/{key}"}}
            for name, (model, key) in MORE_MODELS.items()
        ],
    }
    path = TARGET / "clients/config.yml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config, indent=1))  # JSON is YAML
    return path


def operator_environment(provider: str) -> dict[str, str]:
    return {
        "OPENAI_API_KEY": upstream.OPENAI_KEY,
        "ANTHROPIC_API_KEY": upstream.ANTHROPIC_KEY,
        "GEMINI_API_KEY": upstream.GEMINI_KEY,
        "WRONG_KEY": "sk-ant-outdated",
        "AI_API_MK": MASTER_KEY,
        "SERVER_ROOT_PATH": "/ai-api",
        "OPENAI_BASE_URL": f"{provider}/v1",
        "ANTHROPIC_API_BASE": provider,
        "GEMINI_API_BASE": f"{provider}/v1beta",
    }


def set_up_python() -> Path:
    """A virtual environment with the pinned packages, made anew when they change."""
    python = VENV / "bin/python"
    requirements = PYTHON_TESTS / "requirements.txt"
    if not up_to_date(VENV, requirements):
        print("clients: installing the Python packages", flush=True)
        shutil.rmtree(VENV, ignore_errors=True)
        venv.create(VENV, with_pip=True)
        pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        patiently(pip + ["--requirement", str(requirements)], TOP)
        stamp(VENV, requirements)
    return python


def set_up_node() -> None:
    modules, lock = NODE_TESTS / "node_modules", NODE_TESTS / "package-lock.json"
    if not up_to_date(modules, lock):
        print("clients: installing the Node packages", flush=True)
        patiently(["npm", "ci", "--no-audit", "--no-fund", "--loglevel=error"], NODE_TESTS)
        stamp(modules, lock)


def patiently(command: list[str], folder: Path) -> None:
    """A registry may be out for a moment."""
    for pause in (5, 20, None):
        try:
            done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, timeout=TESTS_SECONDS).returncode == 0
        except subprocess.TimeoutExpired:
            done = False
        if done:
            return
        if pause is None:
            raise SystemExit(f"clients: could not install packages. Try: {' '.join(command)}")
        time.sleep(pause)


def up_to_date(folder: Path, source: Path) -> bool:
    mark = folder / "installed-from"
    return mark.exists() and mark.read_text() == digest(source)


def stamp(folder: Path, source: Path) -> None:
    (folder / "installed-from").write_text(digest(source))


def digest(source: Path) -> str:
    return hashlib.sha256(source.read_bytes()).hexdigest()


def run(command: list[str], folder: Path, environment: dict[str, str], counts: list[int]) -> int:
    """Runs tests, shows what they print, and adds up what their closing lines say."""
    process = subprocess.Popen(
        ["timeout", "--kill-after=10", str(TESTS_SECONDS), *command],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    for line in process.stdout:
        print(line, end="", flush=True)
        # pytest: "3 passed, 1 failed in 0.5s"; Node: "ℹ pass 3", "ℹ fail 1"
        for index, word in enumerate(("pass", "fail")):
            pytest = re.search(rf"(\d+) {word}ed\b.* in [\d.]+s", line)
            node = re.match(rf"ℹ {word} (\d+)$", line)
            if found := pytest or node:
                counts[index] += int(found[1])
    code = process.wait()
    if code == 124:
        print(f"clients: ended after {TESTS_SECONDS} seconds")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
