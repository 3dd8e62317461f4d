"""A stack's settings are remembered in its folder; what a command is given wins; another folder's are nobody's."""

import os
from pathlib import Path

import pytest

from cli.main import adopt_stack_environment
from runtime.settings import SettingsError
from stack import remembered
from stack.settings import StackSettings


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (*StackSettings.model_fields, "collector_url"):
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("WATERSHED_STATE", str(tmp_path))
    return tmp_path


def started_with(monkeypatch: pytest.MonkeyPatch, **values: object) -> None:
    with monkeypatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name.upper(), str(value))
        remembered.keep(remembered.recall())


def test_a_later_command_means_what_the_start_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    started_with(monkeypatch, port_offset=100, kafka_port=9092)
    settings = remembered.recall()
    assert (settings.port("kafka"), settings.port("redis")) == (9192, 21479)


def test_a_given_variable_wins_and_is_remembered_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    started_with(monkeypatch, port_offset=100, kafka_port=9092)
    monkeypatch.setenv("PORT_OFFSET", "0")
    assert remembered.recall().port("kafka") == 9092
    started_with(monkeypatch, port_offset=0)
    monkeypatch.delenv("PORT_OFFSET")
    assert remembered.recall().port("kafka") == 9092


def test_a_default_is_not_remembered_so_that_a_new_one_takes_effect(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started_with(monkeypatch, kafka_port=21092)
    assert (state / remembered.FILE).read_text() == "{}\n"


def test_only_what_servers_were_told_is_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    started_with(monkeypatch, port_offset=100, ready_seconds=60)
    monkeypatch.setenv("READY_SECONDS", "90")
    monkeypatch.setenv("SPARK_HEAP_MB", "2048")
    monkeypatch.setenv("PORT_OFFSET", "0")
    assert remembered.changes(remembered.recall()) == {"port_offset": (100, 0), "spark_heap_mb": (1024, 2048)}


def test_a_stack_that_was_never_started_has_no_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT_OFFSET", "1")
    assert remembered.changes(remembered.recall()) == {}


@pytest.mark.parametrize("text", ["{", "[]", '{"port_offset": "many"}'])
def test_a_damaged_file_is_refused_with_the_way_out(state: Path, text: str) -> None:
    (state / remembered.FILE).write_text(text)
    with pytest.raises(SettingsError, match=r"settings\.json is damaged .*delete it"):
        remembered.recall()


def test_a_relative_folder_is_the_same_one_from_everywhere(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(state)
    monkeypatch.setenv("WATERSHED_STATE", "here")
    assert StackSettings.read().watershed_state == state / "here"


def test_a_command_takes_the_endpoints_of_its_stack(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (state / "env").write_text(f"COLLECTOR_URL=http://here\nWATERSHED_STATE={state}\n")
    monkeypatch.chdir(state.parent)
    monkeypatch.setenv("WATERSHED_STATE", state.name)
    adopt_stack_environment()
    assert (os.environ["COLLECTOR_URL"], os.environ["WATERSHED_STATE"]) == ("http://here", str(state))


def test_what_is_set_wins_over_the_stacks_endpoints(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (state / "env").write_text(f"COLLECTOR_URL=http://here\nWATERSHED_STATE={state}\n")
    monkeypatch.setenv("COLLECTOR_URL", "http://there")
    adopt_stack_environment()
    assert os.environ["COLLECTOR_URL"] == "http://there"


def test_a_folder_that_was_copied_names_another_stack_and_nothing_of_it_is_taken(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (state / "env").write_text("COLLECTOR_URL=http://the-original\nWATERSHED_STATE=/the/original/.local\n")
    adopt_stack_environment()
    assert "COLLECTOR_URL" not in os.environ
    assert os.environ["WATERSHED_STATE"] == str(state)
