"""``make setup``: everything Watershed needs, pinned and checked, under ``.local/``.

Runs on the machine's own Python with the standard library only, because nothing else is there yet. Each step leaves a
stamp that names what it installed (a hash of its lock file) and looks at what is there (the interpreter behind an
environment, the jars): a finished step costs nothing the next time, and one that was interrupted, or whose outcome was
changed since, is done again.
"""

import sys

# Here, and in words that any Python reads: on an old one the other modules do not even compile.
if not (3, 11) <= sys.version_info[:2] <= (3, 13):
    version = ".".join(str(number) for number in sys.version_info[:2])
    sys.exit(
        "setup: Python " + version + " does not serve: "
        "install Python 3.11 to 3.13, then `make PYTHON=/path/to/python setup`"
    )
