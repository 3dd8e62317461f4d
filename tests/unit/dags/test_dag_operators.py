"""The operator and the sensor, in Airflow's environment, with a command made up for the case."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol


class AirflowSide(Protocol):
    def execute(self, case: dict[str, Any], binary: Path | None = None) -> dict[str, Any]: ...


FakeCommand = Callable[[str], Path]
LOAD = {"operator": {"arguments": ["load", "--json"], "room": "load", "nothing_without": "changed"}, "emits": True}
CLAIM = {
    "operator": {
        "arguments": ["marts", "claim"],
        "room": "publish",
        "nothing_without": "hours",
        "aside_of": "rebuild_marts",
    }
}


def test_what_a_load_did_is_its_result_and_goes_onto_the_assets_event(
    airflow_side: AirflowSide, fake_command: FakeCommand
) -> None:
    outcome = airflow_side.execute(LOAD, fake_command("""echo words; echo '{"changed": 3}'"""))
    assert outcome == {"returned": {"changed": 3}, "raised": None, "pushed": {}, "event": {"changed": 3}}


def test_a_load_that_changed_nothing_is_skipped_and_wakes_nobody_but_says_its_numbers(
    airflow_side: AirflowSide, fake_command: FakeCommand
) -> None:
    outcome = airflow_side.execute(LOAD, fake_command("""echo '{"changed": 0, "seconds": 0.4}'"""))
    numbers = {"changed": 0, "seconds": 0.4}
    assert outcome == {
        "returned": None, "raised": "AirflowSkipException", "pushed": {"return_value": numbers}, "event": None
    }  # fmt: skip


def test_a_task_without_anything_to_do_says_why_where_its_command_does(
    airflow_side: AirflowSide, fake_command: FakeCommand
) -> None:
    command = fake_command("""echo '{"changed": [], "because": "no mail server"}'""")
    outcome = airflow_side.execute({**LOAD, "words": True}, command)
    assert (outcome["raised"], outcome["words"]) == ("AirflowSkipException", "nothing to do: no mail server")


def test_a_result_without_the_number_that_decides_is_an_error_and_not_nothing(
    airflow_side: AirflowSide, fake_command: FakeCommand
) -> None:
    assert airflow_side.execute(LOAD, fake_command("echo '{}'"))["raised"] == "AirflowFailException"


def test_a_failed_command_is_tried_again_and_its_numbers_are_kept(
    airflow_side: AirflowSide, fake_command: FakeCommand
) -> None:
    outcome = airflow_side.execute(LOAD, fake_command("""echo '{"changed": 2, "failed": {"signup": "x"}}'; exit 1"""))
    assert outcome["raised"] == "CommandFailed"
    assert outcome["pushed"]["return_value"]["changed"] == 2
    assert outcome["event"] is None


def test_what_somebody_must_look_at_is_not_looked_for_again(
    airflow_side: AirflowSide, fake_command: FakeCommand
) -> None:
    case = {"operator": {"arguments": ["reprocess"], "room": "load", "final_code": 3}}
    outcome = airflow_side.execute(case, fake_command("""echo '{"differing": 2}'; exit 3"""))
    assert outcome["raised"] == "AirflowFailException"
    assert outcome["pushed"] == {"return_value": {"differing": 2}}
    assert airflow_side.execute(case, fake_command("exit 1"))["raised"] == "CommandFailed"


def test_a_command_that_was_called_wrongly_is_not_tried_again(
    airflow_side: AirflowSide, fake_command: FakeCommand
) -> None:
    assert airflow_side.execute(LOAD, fake_command("exit 2"))["raised"] == "AirflowFailException"


def test_a_build_stands_aside_while_everything_is_rebuilt(airflow_side: AirflowSide, fake_command: FakeCommand) -> None:
    command = fake_command("""echo '{"hours": 5}'""")
    assert airflow_side.execute(CLAIM, command)["returned"] == {"hours": 5}
    outcome = airflow_side.execute({**CLAIM, "running": {"rebuild_marts": 1}}, command)
    assert outcome["raised"] == "AirflowSkipException"
    assert outcome["pushed"] == {}
    assert outcome["stood_aside"] is True, "its incident, if it has one, goes on: nothing was tried"


def test_a_rebuild_waits_until_no_build_runs(airflow_side: AirflowSide) -> None:
    assert airflow_side.execute({"other_dag": "build_marts", "running": {"build_marts": 1}}) == {"poke": False}
    assert airflow_side.execute({"other_dag": "build_marts"}) == {"poke": True}
