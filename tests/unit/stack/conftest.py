"""What the tests of set-up share."""

from collections.abc import Callable
from pathlib import Path

import pytest


def _executable(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture(scope="session")
def executable() -> Callable[[Path, str], Path]:
    """Writes a program and the folder it lies in."""
    return _executable
