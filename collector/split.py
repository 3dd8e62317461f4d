"""An array's elements by its brackets alone, for text that no JSON parser takes as a whole.

One event with a NaN, a bad escape or 100,000 brackets makes all of its array no JSON. Its neighbours are not to suffer
for it, so each element is then read by itself: what is no JSON of them is rejected, alone.
"""

import re

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[{]++|[\]}]++|[,"]', re.DOTALL)


def split(text: bytes, most: int) -> list[bytes] | None:
    """The texts between the commas of an array, unread and stripped; None when its brackets or quotes do not match.

    ``most``: elements after which no more are looked for, so that one more than that may be given.
    """
    found: list[bytes] = []
    depth, start = 0, 1
    for token in _TOKEN.finditer(text):
        first, width = text[token.start()], token.end() - token.start()
        if first in b"[{":
            depth += width
        elif first in b"]}":
            depth -= width
            if depth <= 0:
                if depth < 0 or token.end() != len(text) or text[-1] != 93:  # too many closed, or more follows
                    return None
                found.append(text[start : token.end() - 1].strip())
                return found
        elif first == 44 and depth == 1:
            found.append(text[start : token.start()].strip())
            start = token.end()
            if len(found) > most:
                return found
        elif width == 1 and first == 34:
            return None
    return None
