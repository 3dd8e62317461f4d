"""One field of a YAML file, written as a person would: short text on its line, long text folded. Pure."""

import textwrap
from typing import Any

import yaml

WIDTH = 120


def field(name: str, value: Any, indent: int = 0) -> str:
    """``name: value`` and a newline, ``indent`` columns in. A newline within text is kept; mappings go on one line."""
    start = " " * indent
    flow = True if isinstance(value, dict) else None
    dumped = yaml.safe_dump(value, width=10_000, allow_unicode=True, default_flow_style=flow, sort_keys=False)
    line = f"{start}{name}: {dumped.removesuffix(chr(10)).removesuffix('...').rstrip()}"
    if not isinstance(value, str) or ("\n" not in value and len(line) <= WIDTH):
        return f"{line}\n"
    inner = " " * (indent + 2)
    # In folded text one newline is a blank line.
    parts = [textwrap.fill(part, WIDTH, initial_indent=inner, subsequent_indent=inner, break_long_words=False,
                           break_on_hyphens=False) for part in value.split("\n")]  # fmt: skip
    return f"{start}{name}: >-\n" + "\n\n".join(parts) + "\n"
