"""Writes ``docs/settings.md``, the one table of settings, from the settings classes themselves.

``python -m stack.settings_table [--check]``: with ``--check`` it writes nothing and exits 1 when the file is stale.
"""

import argparse
import importlib
import re
import sys
from pathlib import Path

from pydantic_core import PydanticUndefined

from runtime.settings import Settings
from stack.settings import REPO

PAGE = REPO / "docs" / "settings.md"
COMMAND = "make generate"
DECLARES = re.compile(r"^class \w+\((\w+, )*\w*Settings\):", re.MULTILINE)
INTRODUCTION = f"""\
# Settings

Every setting is an environment variable, read once when a process starts. `make up` writes the effective endpoints and
credentials to `.local/env`. This page is generated from the code by `{COMMAND}`.
"""


def classes() -> list[type[Settings]]:
    """Every settings class of the project, wherever it stands."""
    for path in sorted(REPO.glob("*/*.py")):
        if DECLARES.search(path.read_text()):
            importlib.import_module(".".join(path.relative_to(REPO).with_suffix("").parts))
    found: list[type[Settings]] = []
    queue = [Settings]
    while queue:
        for subclass in queue.pop().__subclasses__():
            found.append(subclass)
            queue.append(subclass)
    # One that inherits from two others is found twice.
    return sorted(set(found), key=lambda cls: (cls.__module__, cls.__name__))


def page() -> str:
    """The page's text.

    :raises ValueError: when a setting has no description, naming it.
    """
    lines = [INTRODUCTION]
    for cls in classes():
        purpose = (cls.__doc__ or "").strip().splitlines()[0]
        lines += [
            f"\n## {cls.__module__.split('.')[0]}: {purpose}\n",
            "| variable | default | meaning |",
            "|---|---|---|",
        ]
        for name, field in sorted(cls.model_fields.items()):
            if not field.description:
                raise ValueError(f"{cls.__module__}.{cls.__name__}.{name} has no description: give its Field one")
            required = field.default is PydanticUndefined and field.default_factory is None
            default = "*required*" if required else f"`{_shown(field.get_default(call_default_factory=True))}`"
            lines.append(f"| `{name.upper()}` | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    """A default as a person would type it; paths inside the project are shown relative to it."""
    if isinstance(value, Path) and value.is_relative_to(REPO):
        return str(value.relative_to(REPO))
    if isinstance(value, tuple | list | frozenset | set):
        return ",".join(map(str, value))
    return "" if value is None else str(value)


def main() -> int:
    """Write the page, or only compare; 1 when ``--check`` finds it stale."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when the page is stale")
    fresh = page()
    if not parser.parse_args().check:
        PAGE.write_text(fresh)
        return 0
    if PAGE.exists() and PAGE.read_text() == fresh:
        return 0
    sys.stderr.write(f"{PAGE.relative_to(REPO)} is stale: run `{COMMAND}` and commit it\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
