#!/usr/bin/env python3
"""Writes models.tsv from LiteLLM's model_prices_and_context_window.json.

    python3 config/update-tables.py model_prices_and_context_window.json > config/models.tsv

Kept: every entry that has a mode, except those that only price one picture size or quality of a
model (`1024-x-1024/gpt-image-1.5`), which nobody can name in a call.
"""
import json
import re
import sys

HEADER = """\
# What models exist, their limits in tokens, USD per token, and what they can. Written by update-tables.py: edit that, not this.
# Derived from LiteLLM's model_prices_and_context_window.json, MIT licence, Copyright (c) 2023 Berri AI.
# key\tprovider\tmode\tmax_input_tokens\tmax_output_tokens\tinput\toutput\tcache_read\tcache_write\tcan: v pictures, t tools, s a JSON schema, p PDF, a sound; behind ! what it can't"""
PRICES = "input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost", "cache_creation_input_token_cost"
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


def price(entry, name):
    """USD per token; "" where the table doesn't say."""
    value = entry.get(name)
    return repr(float(value)) if isinstance(value, (int, float)) and value >= 0 else ""


def capabilities(entry):
    """`vt!a`: what it can, and behind `!` what it can't. What an entry is silent on is in neither: many models that take
    pictures lack the key."""
    can, cannot = ("".join(letter for letter, key in CAPABILITIES.items() if entry.get(key) is value) for value in (True, False))
    return can + ("!" + cannot if cannot else "")


def main():
    entries = json.load(open(sys.argv[1], encoding="utf-8"))
    print(HEADER)
    for key, entry in sorted(entries.items()):
        if key == "sample_spec" or not entry.get("mode") or ONE_SIZE_OF_A_PICTURE.search(key):
            continue
        limits = tokens(entry, "max_input_tokens"), tokens(entry, "max_output_tokens", "max_tokens")
        prices = (price(entry, name) for name in PRICES)
        print(key, entry.get("litellm_provider", ""), entry["mode"], *limits, *prices, capabilities(entry), sep="\t")


main()
