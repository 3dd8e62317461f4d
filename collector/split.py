"""An array's elements by its brackets alone, for text that no JSON parser takes as a whole.

One event with a NaN, a bad escape or 100,000 brackets makes all of its array no JSON. Its neighbours are not to suffer
for it, so each element is then read by itself: what is no JSON of them is rejected, alone.
"""

import re

BLANKS = b" \t\n\r"
"""What JSON takes for white space (RFC 8259, section 2); Python would strip more."""
MOST_TOKENS = 300_000
"""Runs of brackets, and of what is between them, that are looked at: a thousand honest events have a thirtieth of them,
and 100,000 objects one within the other two thirds.

While an array is split nobody else is served, and a kilobyte of gzip can hold a million of brackets.
"""
_TEXT = rb'(?:[^"\\]++|\\.)*+'
_TOKEN = re.compile(rb'(?:[^\[\]{}"]++|"' + _TEXT + rb'")++|[\[{]++|[\]}]++|"', re.DOTALL)
_TO_A_COMMA = re.compile(rb'(?:[^",]++|"' + _TEXT + rb'")*+,', re.DOTALL)


def split(text: bytes, most: int) -> list[bytes] | None:
    """The texts between the commas of an array, unread and stripped; None when its brackets or quotes do not match.

    None as well for more than :data:`MOST_TOKENS`. ``most``: elements after which no more are looked for, so that one
    more than that may be given.
    """
    found: list[bytes] = []
    depth, start = 0, 1
    for number, token in enumerate(_TOKEN.finditer(text)):
        at, end = token.span()
        first = text[at]
        if number >= MOST_TOKENS or (first == 34 and end - at == 1):  # a quote that nothing closes
            return None
        if first in b"[{":
            depth += end - at
        elif first in b"]}":
            depth -= end - at
            if depth <= 0:
                if depth < 0 or end != len(text) or text[-1] != 93:  # too many closed, or more follows
                    return None
                found.append(text[start : end - 1].strip(BLANKS))
                return found
        elif depth == 1:
            while comma := _TO_A_COMMA.match(text, at, end):
                at = comma.end()
                found.append(text[start : at - 1].strip(BLANKS))
                start = at
                if len(found) > most:
                    return found
    return None
