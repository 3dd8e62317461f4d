"""Writes ``docs/dags.md`` from the DAG files' docstrings, which are the DAGs' pages in Airflow too.

``python -m stack.dags_page [--check]``: with ``--check`` it writes nothing and exits 1 when the page is stale.
"""

import argparse
import ast
import sys
from pathlib import Path

from stack.settings import REPO

PAGE = REPO / "docs" / "dags.md"
DAGS = REPO / "dags"
COMMAND = "make generate"
INTRODUCTION = f"""\
# DAGs

What Airflow runs, and what to do when it fails; each section is the DAG's page in Airflow too. This page is generated
from the docstrings in `dags/` by `{COMMAND}`. All times are UTC.
"""


def section(source: str) -> str | None:
    """The section of one DAG file; None when the file is no DAG.

    :raises ValueError: when its DAG does not say when it runs.
    """
    tree = ast.parse(source)
    text = ast.get_docstring(tree) or ""
    if not text.startswith("### "):
        return None
    title, _, rest = text.removeprefix("### ").partition("\n")
    call = next(n for n in ast.walk(tree) if isinstance(n, ast.Call) and ast.unparse(n.func) == "DAG")
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if "schedule" not in given:
        raise ValueError(f"{title}: its DAG gives no schedule")
    dag_id, _, purpose = title.partition(": ")
    return f"## {dag_id}\n\n**{purpose}** Schedule: `{ast.unparse(given['schedule'])}`\n{rest}\n"


def page(folder: Path = DAGS) -> str:
    """The page's text: a section a DAG, by file name."""
    found = (section(path.read_text()) for path in sorted(folder.glob("*.py")))
    return "\n".join([INTRODUCTION, *(text for text in found if text is not None)])


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
