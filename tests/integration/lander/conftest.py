"""Fixtures of the lander's tests."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.lander.processes import REPO
from tests.integration.lander.world import World


@pytest.fixture
def run_watershed() -> Callable[..., str]:
    """Run a ``watershed`` command in a world, as the operator would; gives its output.

    ``code``: the exit status it should have.
    """

    def run(world: World, *words: str, code: int = 0) -> str:
        command = [sys.executable, "-c", "from cli.main import main; main()", *words]
        env = {**world.operators_env(), "COLUMNS": "1000"}
        done = subprocess.run(command, check=False, env=env, cwd=REPO, capture_output=True, text=True)
        assert done.returncode == code, done.stderr
        return done.stdout if code == 0 else done.stderr

    return run


@pytest.fixture
def world(stack: Any, tmp_path: Path) -> Iterator[World]:
    """A fresh world; on failure its landers' logs are in the report."""
    made = World(stack.env, stack.own("lander"), tmp_path)
    try:
        yield made
    finally:
        made.close()
        for lander in made.landers:
            sys.stdout.write(f"--- {lander.log.name}\n{lander.words()[-6000:]}\n")
