"""What runs in Superset's environment, beside the tests that ask what it found."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stack.settings import LOCAL

SideFacts = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def side_facts(tmp_path_factory: pytest.TempPathFactory) -> SideFacts:
    """Runs a script of this folder, by name, with an empty Superset and ``more`` environment: what it prints."""

    def found(script: str, **more: str) -> dict[str, Any]:
        place = tmp_path_factory.mktemp("superset")
        settings = place / "settings_of_this_test.py"
        settings.write_text(f"SECRET_KEY = {'k' * 42!r}\n")
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(place),
            "SUPERSET_HOME": str(place),
            "SUPERSET_CONFIG_PATH": str(settings),
            **more,
        }
        argv = [LOCAL / "envs" / "superset" / "bin" / "python", Path(__file__).parent / script]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        printed: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        return printed

    return found
