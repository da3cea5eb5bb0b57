#!/usr/bin/env python3
"""Writes models.tsv and prices.gz from LiteLLM's model_prices_and_context_window.json.

    python3 config/update-tables.py model_prices_and_context_window.json

models.tsv has every entry that has a mode, except those that only price one picture size or quality of a
model (`1024-x-1024/gpt-image-1.5`), which nobody can name in a call. prices.gz has every entry that has a price.

LiteLLM deletes the entries of models that their providers have shut down. Both tables keep them: what a table has and the
file hasn't stays, in prices.gz with "retired": true.

prices.gz is a series of gzip members, so that `zcat` shows all of it and the gateway can read one part alone. The first
tells where the others begin (bytes after the first member's end), how long they are, and their first key. A line is a key,
a provider and the prices as JSON, with every number as it stands upstream. Keys are in order; the price of one size or
quality of a picture follows its model's (`gpt-image-1.5#high/1024-x-1024`), in the same member.
"""
import gzip
import json
import pathlib
import re
import sys

HEADER = """\
# What models exist, their limits in tokens, and what they can. Written by update-tables.py: edit that, not this.
# Derived from LiteLLM's model_prices_and_context_window.json, MIT licence, Copyright (c) 2023 Berri AI.
# key\tprovider\tmode\tmax_input_tokens\tmax_output_tokens\tcan: v pictures, t tools, s a JSON schema, p PDF, a sound; behind ! what it can't"""
CAPABILITIES = {
    "v": "supports_vision",
    "t": "supports_function_calling",
    "s": "supports_response_schema",
    "p": "supports_pdf_input",
    "a": "supports_audio_input",
}
ONE_SIZE_OF_A_PICTURE = re.compile(r"(^|/)(\d+|max)-x-(\d+|max)/|^(hd|standard|low|medium|high)/")


def tokens(entry, *names):
    """The first of `names` that is a number of tokens; the table also has "", 0 and floats."""
    for name in names:
        value = entry.get(name)
        if isinstance(value, (int, float)) and value > 0:
            return str(int(value))
    return ""


def capabilities(entry):
    """`vt!a`: what it can, and behind `!` what it can't. What an entry is silent on is in neither: many models that take
    pictures lack the key."""
    can, cannot = ("".join(letter for letter, key in CAPABILITIES.items() if entry.get(key) is value) for value in (True, False))
    return can + ("!" + cannot if cannot else "")


# What says what something costs. `fast` and `us` in provider_specific_entry are factors.
SAYS_A_PRICE = re.compile(r"cost|^tiered_pricing$|^provider_specific_entry$|^web_search_billing_unit$")
SIZE = re.compile(r"^(\d+|max)-x-(\d+|max)$")
STEPS = re.compile(r"^(\d+|max)-steps$")
QUALITIES = {"low", "medium", "high", "xhigh", "max", "standard", "hd"}
ROWS_OF_A_MEMBER = 64


class Number(float):
    """A number that knows how it was written."""

    def __new__(cls, text):
        self = super().__new__(cls, text)
        self.text = text
        return self


def dump(value):
    """JSON with numbers as they were written."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(key)}:{dump(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(dump, value)) + "]"
    return value.text if isinstance(value, Number) else json.dumps(value, ensure_ascii=False)


def with_size_last(key):
    """`hd/1024-x-1024/dall-e-3` as `dall-e-3#hd/1024-x-1024`."""
    parts = key.split("/")
    sizes = [at for at, part in enumerate(parts) if SIZE.match(part)]
    if not sizes:
        return key
    first = last = sizes[0]
    if first > 0 and parts[first - 1] in QUALITIES:
        first -= 1
    while last + 1 < len(parts) - 1 and (STEPS.match(parts[last + 1]) or parts[last + 1] in QUALITIES):
        last += 1
    return "/".join(parts[:first] + parts[last + 1:]) + "#" + "/".join(parts[first:last + 1])


def model_lines(entries, old):
    """The lines of models.tsv by key, those that are there already among them."""
    lines = {line.split("\t", 1)[0]: line for line in old.splitlines() if line and not line.startswith("#")}
    for key, entry in entries.items():
        if not entry.get("mode") or ONE_SIZE_OF_A_PICTURE.search(key):
            continue
        limits = tokens(entry, "max_input_tokens"), tokens(entry, "max_output_tokens", "max_tokens")
        columns = (key, entry.get("litellm_provider", ""), entry["mode"], *limits, capabilities(entry))
        lines[key] = "\t".join(columns)
    return lines


def price_rows(entries, old):
    """Provider and prices by key, those that are there already and in no entry as retired."""
    rows = {}
    for line in old.splitlines():
        if line and not line.startswith("#"):
            key, provider, prices = line.split("\t")
            rows[key] = provider, {**json.loads(prices, parse_float=Number), "retired": True}
    for key, entry in entries.items():
        prices = {name: value for name, value in entry.items() if SAYS_A_PRICE.search(name) and value not in (None, {}, [])}
        if prices:
            rows[with_size_last(key)] = entry.get("litellm_provider", ""), prices
    return rows


def pack(rows):
    """The bytes of prices.gz."""
    members, block = [], []
    for key in sorted(rows):
        # A model and its pictures stay together.
        if len(block) >= ROWS_OF_A_MEMBER and "#" not in key:
            members.append(block)
            block = []
        block.append((key, "\t".join((key, rows[key][0], dump(rows[key][1]))) + "\n"))
    members.append(block)
    packed = [(block[0][0], gzip.compress("".join(line for _, line in block).encode(), 9, mtime=0)) for block in members if block]
    index, at = PRICES_HEADER, 0
    for first, member in packed:
        index += f"# {at} {len(member)} {first}\n"
        at += len(member)
    return gzip.compress(index.encode(), 9, mtime=0) + b"".join(member for _, member in packed)


PRICES_HEADER = """\
# What models cost, in US dollars. Written by update-tables.py: edit that, not this.
# Derived from LiteLLM's model_prices_and_context_window.json, MIT licence, Copyright (c) 2023 Berri AI.
"""


def main():
    entries = json.load(open(sys.argv[1], encoding="utf-8"), parse_float=Number)
    entries.pop("sample_spec", None)
    here = pathlib.Path(__file__).parent
    models, prices = here / "models.tsv", here / "prices.gz"
    lines = model_lines(entries, models.read_text(encoding="utf-8") if models.exists() else "")
    models.write_text("\n".join([HEADER, *(lines[key] for key in sorted(lines))]) + "\n", encoding="utf-8")
    old = gzip.decompress(prices.read_bytes()).decode() if prices.exists() else ""
    prices.write_bytes(pack(price_rows(entries, old)))


main()
