"""The guide for plugin authors leads from nothing to a live provider: docs/plugins.md, as it stands there.

A fenced block of that section is part of the way when its first line says more than the language:

    ```console test       commands after `$ `, each followed by what is printed then
    ```yaml config.yml    a file

All commands go to one shell, in an empty folder. `…` in what is printed stands for anything. What differs: the ports; the
language, and with it the size of the component and how many checks don't apply to it.
"""

import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from test_readme import matches

GUIDE = Path(__file__).resolve().parents[3] / "docs/plugins.md"
SECTION = "Fifteen minutes to a live provider"
BINARY = Path(os.environ["NEWCOMER_BINARY"])
TARGET = Path(os.environ["NEWCOMER_TARGET"])
DONE = "--- done:"
# A language's first build fetches and compiles.
SECONDS = 300


def steps(markdown):
    """The section's steps in order: a command and what it prints, or a file's name and content."""
    section = markdown.partition(f"\n## {SECTION}\n")[2].partition("\n## ")[0]
    for _, what, body in re.findall(r"^```(\w+) (\S+)\n(.*?)^```$", section, re.MULTILINE | re.DOTALL):
        if what != "test":
            yield what, None, body
            continue
        for one in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            # A backslash at the end of a line continues the command.
            command, prints = re.match(r"((?:[^\n]*\\\n)*[^\n]*)\n(.*)", one, re.DOTALL).groups()
            yield None, command, prints


class Shell:
    """A shell that stays, with what its commands print, those in the background too."""

    def __init__(self, folder, environment):
        self.process = subprocess.Popen(
            ["bash"], cwd=folder, env=environment, text=True, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        self.printed, self.changed = "", threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            with self.changed:
                self.printed += line
                self.changed.notify_all()

    def run(self, command, prints):
        """Until the command is done, and all that it should print is there."""
        with self.changed:
            self.printed = ""
        self.process.stdin.write(f"{{ {command}\n}} </dev/null\necho\necho '{DONE}' $?\n")
        self.process.stdin.flush()

        with self.changed:
            done = self.changed.wait_for(lambda: f"\n{DONE}" in self.printed, SECONDS)
            assert done and f"\n{DONE} 0\n" in self.printed, f"$ {command}\n{self.printed}"
            # What runs in the background may take a moment.
            there = self.changed.wait_for(lambda: matches(f"…{prints}…", self.printed), 30)
            assert there, f"$ {command}\nprinted\n{self.printed}\nbut it promises\n{prints}"

    def end(self):
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait(timeout=30)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def wait_for_server(port):
    """What was started in the background may take a moment."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            assert time.monotonic() < deadline, f"nothing listens on {port}"
            time.sleep(0.02)


@pytest.mark.parametrize("language", ["rust", "python"])
def test_the_guide_leads_to_a_live_provider(language):
    if not (TARGET / f"examples/{language}.wasm").exists():
        missing = f"no plugin in {language} was built here: run `make examples`, which says what is missing"
        assert os.environ.get("CI") != "true", missing
        pytest.skip(missing)
    # In the same place each time: to cargo a crate in another place is another crate, and what it left would pile up.
    folder = TARGET / "clients/guide" / language
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/ai-api").symlink_to(BINARY)
    (folder / "home").mkdir()
    gateway, provider = free_port(), free_port()
    environment = os.environ | {
        "PATH": f"{folder}/bin:{os.environ['PATH']}",
        "PORT": gateway,
        "AI_API_CACHE_DIR": str(TARGET / "clients/cache"),
        # What `make examples` has compiled of Rust's and the SDK's dependencies isn't compiled again.
        "CARGO_TARGET_DIR": str(TARGET / "examples/rust-target"),
    }

    def here(text):
        text = text.replace("127.0.0.1:4000", f"127.0.0.1:{gateway}").replace("9000", provider)
        text = text.replace("--lang python", f"--lang {language}")
        return re.sub(r"\(\d.* MB\)", "(…)", text.replace("0 skipped", "… skipped"))

    shell, inside = Shell(folder / "home", environment), folder / "home"
    commands = []
    try:
        for file, command, text in steps(GUIDE.read_text()):
            if file:
                (inside / file).write_text(here(text))
                continue
            if command.startswith("cd "):
                inside /= command.removeprefix("cd ")
            if command.startswith("curl "):
                wait_for_server(provider)
            shell.run(here(command), here(text))
            commands.append(command)
    finally:
        shell.end()
    # The reader of blocks hasn't overlooked any: the way has all its stations.
    for needed in ("plugin new", "plugin build", "plugin check", "plugin call", "cp acme.wasm", "curl"):
        assert any(needed in command for command in commands), f"the guide has no {needed}"
