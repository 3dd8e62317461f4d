"""Secrets are made once, kept private, and never silently replaced."""

import json
import stat
from pathlib import Path

import pytest

from stack import secrets


def test_secrets_are_made_once_and_then_kept(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    first = dict(secrets.load(path))
    assert dict(secrets.load(path)) == first
    assert len(set(first.values())) == len(first)


def test_only_the_owner_can_read_them(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    secrets.load(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_new_name_is_added_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    kept = dict(secrets.load(path))
    path.write_text(json.dumps({name: value for name, value in kept.items() if name != "redis"}))
    again = secrets.load(path)
    assert again["loader"] == kept["loader"]
    assert again["redis"] != kept["redis"]


def test_a_damaged_file_is_refused_with_the_way_out(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    path.write_text("{")
    with pytest.raises(ValueError, match="make reset"):
        secrets.load(path)
    assert path.read_text() == "{"
