"""Whose values a command takes: a person's command the operator's, a process's command only those it was given."""

import os
from pathlib import Path

import pytest

from cli.main import adopt_stack_environment


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "env").write_text(f"WATERSHED_STATE={tmp_path}\nLOADER_DSN=the operator's\nREDIS_URL=the operator's\n")
    monkeypatch.setenv("WATERSHED_STATE", str(tmp_path))
    monkeypatch.setenv("LOADER_DSN", "given")
    monkeypatch.setenv("REDIS_URL", "to be forgotten at the end")
    monkeypatch.delenv("REDIS_URL")
    monkeypatch.delenv("WATERSHED_ROOM", raising=False)
    return tmp_path


def test_a_persons_command_takes_from_the_stack_what_is_not_set(state: Path) -> None:
    adopt_stack_environment()
    assert (os.environ["LOADER_DSN"], os.environ["REDIS_URL"]) == ("given", "the operator's")


def test_a_process_of_the_stack_takes_nothing_but_what_it_was_given(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATERSHED_ROOM", "load")
    adopt_stack_environment()
    assert os.environ["LOADER_DSN"] == "given"
    assert "REDIS_URL" not in os.environ
