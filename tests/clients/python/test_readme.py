"""The README's commands do what it says that they do.

A fenced block is tested when its first line has `test` after the language:

    ```console test       commands after `$ `, each followed by what it prints
    ```python test        a program; a ```text block right after it says what it prints

`…` in what is printed stands for anything (ids, times). The README's gateway is at 127.0.0.1:4000; the tests
put the address of one in its place that was started as there, with config/config.yml and no key.
"""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[3] / "README.md"
GATEWAY = os.environ["NEWCOMER_GATEWAY"]


@dataclass
class Example:
    line: int
    command: list[str]
    prints: str


def examples(markdown):
    """Every command of a tested block, with what it should print."""
    fence = re.compile(r"^```(\w+) test\n(.*?)^```\n(?:\s*```text\n(.*?)^```)?", re.MULTILINE | re.DOTALL)
    for block in fence.finditer(markdown):
        language, body, prints = block.groups()
        line = markdown.count("\n", 0, block.start()) + 2
        if language == "python":
            yield Example(line, [os.environ["NEWCOMER_PYTHON"], "-c", body], prints or "")
            continue
        assert language == "console", f"README.md:{line}: don't know how to test {language}"
        for one in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            # A backslash at the end of a line continues the command.
            command, _, prints = re.sub(r"\\\n", "\\\\\0", one).partition("\n")
            yield Example(line, ["bash", "-c", command.replace("\0", "\n")], prints.replace("\0", "\n"))


def run(example):
    environment = os.environ | {"OPENAI_BASE_URL": f"{GATEWAY}/v1", "OPENAI_API_KEY": "anything"}
    here = [part.replace("http://127.0.0.1:4000", GATEWAY).replace("http://localhost:4000", GATEWAY) for part in example.command]
    return subprocess.run(here, env=environment, capture_output=True, text=True, timeout=60)


def matches(expected, printed):
    def words(text):
        # Where lines end and how they are indented is the reader's.
        return " ".join(text.split())

    pattern = ".*?".join(re.escape(piece) for piece in words(expected).split("…"))
    return re.fullmatch(pattern, words(printed), re.DOTALL) is not None


# The project is born before its README.
EXAMPLES = list(examples(README.read_text())) if README.exists() else []


@pytest.mark.skipif(not README.exists(), reason="no README yet")
def test_the_readme_has_commands_to_test():
    assert EXAMPLES


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"line {example.line}")
def test_the_readme_is_right(example):
    done = run(example)

    assert done.returncode == 0, done.stderr
    assert matches(example.prints, done.stdout), f"README.md:{example.line} promises\n{example.prints}\nbut gets\n{done.stdout}"


def test_the_reader_of_blocks_finds_commands_and_what_they_print():
    markdown = "```console test\n$ echo a \\\n    b\na b\n$ true\n```\n\n```python test\nprint(1)\n```\n\n```text\n1\n```\n```sh\n$ no\n```\n"
    found = list(examples(markdown))

    assert [(one.line, one.prints) for one in found] == [(2, "a b\n"), (2, ""), (9, "1\n")]
    assert all(matches(one.prints, run(one).stdout) for one in found)
    assert not matches("1", "2")
    assert matches('{"id":"chatcmpl-…","n":1}', '{"id":"chatcmpl-42","n":1}\n')
