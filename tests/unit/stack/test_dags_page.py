"""The DAGs' page is what the DAG files say."""

import pytest

from stack import dags_page

DAG = '''"""### some_dag: what it is for

Its story.
"""
with DAG(dag_id="some_dag", schedule="5 * * * *"):
    pass
'''


def test_a_dag_file_becomes_a_section_with_its_schedule() -> None:
    assert dags_page.section(DAG) == "## some_dag\n\n**what it is for** Schedule: `'5 * * * *'`\n\nIts story.\n"


def test_a_file_that_is_no_dag_is_left_out() -> None:
    assert dags_page.section('"""Helpers."""\n') is None


def test_a_dag_without_a_schedule_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="some_dag"):
        dags_page.section(DAG.replace(', schedule="5 * * * *"', ""))


def test_a_stale_page_is_refused_and_the_command_named(
    tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(dags_page, "REPO", tmp_path)
    monkeypatch.setattr(dags_page, "PAGE", tmp_path / "dags.md")
    monkeypatch.setattr("sys.argv", ["dags_page", "--check"])
    assert dags_page.main() == 1
    assert "run `make generate`" in capsys.readouterr().err
    (tmp_path / "dags.md").write_text(dags_page.page())
    assert dags_page.main() == 0
