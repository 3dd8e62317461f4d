"""``make demo`` as typed: what it is given reaches the command."""

import os
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("given", "run"),
    [
        ([], "demo run"),
        (["DAYS=7", "TOTAL=1000", "SEED=3", "RATE=50"], "demo run --days 7 --total 1000 --seed 3 --rate 50"),
        (["LOG=/a path/access.log.gz"], 'demo run --log "/a path/access.log.gz"'),
    ],
)
def test_make_demo_passes_on_what_it_is_given(given: list[str], run: str) -> None:
    # Nothing of a make that runs the tests.
    env = {"PATH": os.environ["PATH"]}
    done = subprocess.run(["make", "-n", "demo", *given], cwd=REPO, env=env, capture_output=True, text=True, check=True)
    assert " ".join(done.stdout.replace("\\\n", " ").split()).endswith(f"watershed {run}")
