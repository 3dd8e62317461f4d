"""What `watershed audit ids` refuses before it looks at anything."""

import pytest
from typer.testing import CliRunner

from spark_jobs.audit_commands import app

RUNNER = CliRunner(env={"COLUMNS": "1000"})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ids"], "--day"),
        (["ids", "--day", "yesterday"], "--day"),
        (["ids", "--day", "2999-01-01"], "has not begun"),
        (["ids", "--day", "2026-03-01", "--type", "nope"], "there is no event type"),
    ],
)
def test_a_mistake_in_the_options_is_named(words: list[str], said: str) -> None:
    done = RUNNER.invoke(app, words)
    assert done.exit_code == 2
    assert said in done.output
