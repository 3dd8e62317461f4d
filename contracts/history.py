"""The contracts as they were at a commit of this repository."""

import shutil
import subprocess
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

from contracts.generate import REPO
from contracts.model import Contract, ContractError
from contracts.registry import Registry


def at_commit(commit: str, repo: Path = REPO) -> tuple[Contract, ...]:
    """Every version of every type at ``commit``; empty when it had no contracts.

    :raises ContractError: git is missing or does not know the commit, or the contracts there are wrong.
    """
    git = shutil.which("git")
    if git is None:
        raise ContractError("git is not installed, so there is no earlier state to compare with")
    listed = subprocess.run(
        [git, "-C", str(repo), "ls-tree", "-r", "--name-only", commit, "--", "contracts"],
        capture_output=True,
        check=False,
    )
    if listed.returncode != 0:
        raise ContractError(f"{commit}: {listed.stderr.decode(errors='replace').strip()}")
    wanted = [name for name in listed.stdout.decode().splitlines() if name.endswith((".schema.json", "/common.json"))]
    if not any(name.endswith(".schema.json") for name in wanted):
        return ()
    packed = subprocess.run([git, "-C", str(repo), "archive", commit, "--", *wanted], capture_output=True, check=False)
    if packed.returncode != 0:
        raise ContractError(f"{commit}: {packed.stderr.decode(errors='replace').strip()}")
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
        registry = Registry.load(Path(folder) / "contracts")
    return tuple(registry.get(type_, version) for type_ in registry.types() for version in registry.versions(type_))
