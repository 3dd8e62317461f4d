"""After an upgrade, or with a new contract, `make up` starts anew what runs other code, and nothing else."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from stack import airflow_bootstrap, parts, programs, rooms, secrets, superset
from stack.programs import Program, StackError, code
from stack.settings import REPO, StackSettings

OURS = {
    *("collector", "lander", "docs", "superset"),
    *("airflow-api-server", "airflow-dag-processor", "airflow-triggerer", "airflow-scheduler"),
}
IMPORTED = """
import importlib, json, pathlib, sys
importlib.import_module(sys.argv[1])
here = pathlib.Path.cwd()
files = [pathlib.Path(m.__file__) for m in list(sys.modules.values()) if getattr(m, "__file__", None)]
inside = [file.relative_to(here) for file in files if file.is_relative_to(here)]
print(json.dumps(sorted({str(file) for file in inside if file.parts[0] != ".local"})))
"""


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "room" / "deep").mkdir(parents=True)
    (tmp_path / "room" / "work.py").write_text("a = 1\n")
    (tmp_path / "room" / "deep" / "rule.json").write_text("{}\n")
    (tmp_path / "lock.txt").write_text("one==1\n")
    monkeypatch.setattr(programs, "REPO", tmp_path)
    return tmp_path


def changes(repo: Path, file: str, content: str) -> bool:
    before = code("room", "lock.txt")
    place = repo / file
    place.parent.mkdir(exist_ok=True)
    place.write_text(content)
    return code("room", "lock.txt") != before


@pytest.mark.parametrize("file", ["room/work.py", "room/deep/rule.json", "room/new.py", "lock.txt"])
def test_a_file_that_is_new_or_other_is_other_code(repo: Path, file: str) -> None:
    assert changes(repo, file, "other")


@pytest.mark.parametrize("file", ["room/__pycache__/work.cpython-311.pyc", "elsewhere.py"])
def test_what_python_keeps_and_what_is_elsewhere_is_not(repo: Path, file: str) -> None:
    assert not changes(repo, file, "other")


def test_a_file_that_is_moved_is_other_code(repo: Path) -> None:
    before = code("room")
    (repo / "room" / "work.py").rename(repo / "room" / "play.py")
    assert code("room") != before


def test_a_place_that_is_not_there_is_refused(repo: Path) -> None:
    with pytest.raises(StackError, match="room2 is missing"):
        code("room2")


def test_each_process_of_ours_says_what_code_it_was_started_with(tmp_path: Path) -> None:
    settings = StackSettings(watershed_state=tmp_path)
    known = dict(secrets.load(tmp_path / "secrets.json"))
    found = {part.name: part for part in parts.all_parts(settings, known) if isinstance(part, Program)}
    assert {name for name, program in found.items() if "WATERSHED_CODE" in program.env} == OURS


@pytest.mark.parametrize(
    ("module", "declared"),
    [("collector.serve", rooms.COLLECTOR), ("collector.lander", rooms.COLLECTOR), ("stack.docs_site", rooms.DOCS)],
)
def test_what_a_process_imports_is_in_its_code(module: str, declared: Sequence[str]) -> None:
    argv = [sys.executable, "-c", IMPORTED, module]
    done = subprocess.run(argv, cwd=REPO, capture_output=True, text=True, check=True)
    files = json.loads(done.stdout)
    assert files
    assert {file.split("/")[0] for file in files} <= set(declared)


def test_every_room_whose_code_superset_reads_is_in_its_code() -> None:
    ours = {path.name for path in REPO.iterdir() if path.is_dir() and not path.name.startswith(".")}
    words = [line.split() for file in (REPO / "superset_config").glob("*.py") for line in file.read_text().splitlines()]
    imported = {line[1].split(".")[0] for line in words if len(line) > 1 and line[0] in {"from", "import"}}
    assert imported & ours <= set(superset.CODE)


def test_airflow_reads_no_code_of_ours_but_the_dags() -> None:
    assert airflow_bootstrap.DAGS == REPO / "dags"
    ours = {path.name for path in REPO.iterdir() if path.is_dir()} - {"dags"}
    words = [line.split() for file in airflow_bootstrap.DAGS.rglob("*.py") for line in file.read_text().splitlines()]
    imported = {line[1].split(".")[0] for line in words if len(line) > 1 and line[0] in {"from", "import"}}
    assert not imported & ours
