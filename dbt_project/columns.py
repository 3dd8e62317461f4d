"""What each column means, as ``models/docs.md`` says it: the one place where dbt's docs and Superset have it from."""

import re

from dbt_project.metrics import MODELS

BLOCK = re.compile(r"{% docs (\w+) %}(.*?){% enddocs %}", re.DOTALL)


def described() -> dict[str, str]:
    """The first paragraph of every doc block, on one line, by the block's name."""
    text = (MODELS / "docs.md").read_text(encoding="utf-8")
    return {name: " ".join(said.strip().split("\n\n")[0].split()) for name, said in BLOCK.findall(text)}
