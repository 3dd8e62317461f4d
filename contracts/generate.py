"""Write what follows from the contracts and is committed, and tell what is stale."""

from pathlib import Path

from contracts import dbt_sources, odcs, pages
from contracts.registry import Registry

REPO = Path(__file__).resolve().parent.parent
COMMAND = "make generate"
_FOLDERS = {"docs/contracts": "*.md", "contracts/odcs": "*.odcs.yaml"}
"""Folders that hold generated files only, and which files those are."""


def generated(registry: Registry) -> dict[str, str]:
    """Every generated file: its path under the repository, and its text."""
    files = {"docs/contracts/index.md": pages.index(registry)}
    for contract in registry:
        files[f"docs/contracts/{contract.type}.md"] = pages.page(contract, registry)
        files[f"contracts/odcs/{contract.type}.odcs.yaml"] = _noted(odcs.export(contract))
    files["dbt_project/models/sources.yml"] = _noted(dbt_sources.export(registry))
    return files


def stale(registry: Registry, root: Path = REPO) -> list[str]:
    """Paths of generated files that are missing, differ, or whose type is gone."""
    files = generated(registry)
    differing = [
        path
        for path, text in files.items()
        if not (root / path).is_file() or (root / path).read_text(encoding="utf-8") != text
    ]
    return sorted(differing + _orphans(files, root))


def write(registry: Registry, root: Path = REPO) -> list[str]:
    """Bring all generated files up to date; gives the paths that changed."""
    files = generated(registry)
    changed = stale(registry, root)
    for path in changed:
        target = root / path
        if path in files:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(files[path], encoding="utf-8")
        else:
            target.unlink()
    return changed


def _orphans(files: dict[str, str], root: Path) -> list[str]:
    found = [
        file.relative_to(root).as_posix()
        for folder, pattern in _FOLDERS.items()
        for file in sorted((root / folder).glob(pattern))
    ]
    return [path for path in found if path not in files]


def _noted(text: str) -> str:
    return f"# Generated from contracts/ by `{COMMAND}`; edit the contract instead.\n{text}"
