"""Set-up on machines that lack something: one line that says what to install."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from stack.install import machine as needs
from stack.install.checkout import CannotInstall, Checkout, Step

REPO = Path(__file__).resolve().parents[3]
Executable = Callable[[Path, str], Path]
Make = Callable[[str, str | None, str | None], subprocess.CompletedProcess[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what set-up itself consists of, and nothing installed."""
    place = tmp_path / "copy"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPO / "stack" / "install", place / "stack" / "install", ignore=ignored)
    shutil.copy(REPO / "stack" / "__init__.py", place / "stack")
    shutil.copy(REPO / "Makefile", place)
    return place


TOOLS = ("make", "sh", "cat", "env")


@pytest.fixture
def make(project: Path, executable: Executable) -> Make:
    """``make <target>`` on a machine that has this Python and this Java and nothing else."""
    return lambda target, python, java: _make(executable, project, target, python, java)


def _make(
    executable: Executable, project: Path, target: str, python: str | None, java: str | None
) -> subprocess.CompletedProcess[str]:
    path = project / "path"
    shutil.rmtree(path, ignore_errors=True)
    for name in TOOLS:
        found = shutil.which(name)
        assert found is not None
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).symlink_to(found)
    for name, text in (("python3", python), ("java", java)):
        if text is not None:
            executable(path / name, text)
    argv = ["make", "--no-print-directory", target]
    env = {"PATH": str(path), "HOME": str(project)}
    return subprocess.run(argv, cwd=project, env=env, capture_output=True, text=True, check=False)


def python_that_says(version: tuple[int, int]) -> str:
    """Set-up's own modules, run by this interpreter under another one's version."""
    told = (
        f"import runpy, sys; sys.version_info = ({version[0]}, {version[1]}, 0, 'final', 0); "
        "sys.path.insert(0, '.'); sys.argv = sys.argv[2:]; runpy.run_module(sys.argv[0], run_name='__main__')"
    )
    return f'#!/bin/sh\nexec {sys.executable} -c {json.dumps(told)} "$@"\n'


def java_that_says(version: str) -> str:
    return f"#!/bin/sh\necho '{version}' >&2\n"


THIS_PYTHON = f'#!/bin/sh\nexec {sys.executable} "$@"\n'


@pytest.mark.parametrize("version", [(2, 7), (3, 10), (3, 14)])
def test_a_python_that_does_not_serve_is_one_line(project: Path, version: tuple[int, int], make: Make) -> None:
    done = make("setup", python_that_says(version), java_that_says('openjdk version "17.0.1"'))
    assert done.returncode != 0
    said = done.stderr.splitlines()[0]
    assert said.startswith(f"setup: Python {version[0]}.{version[1]} does not serve: install Python 3.11 to 3.13")
    assert not (project / ".local").exists()


def test_no_python_at_all_is_one_line(make: Make) -> None:
    done = make("setup", None, None)
    assert done.stderr.splitlines()[0] == "setup: python3 is missing: install Python 3.11 to 3.13"


@pytest.mark.parametrize(
    ("java", "said"),
    [
        (None, "setup: java is missing: install a Java 17 to 21 runtime (Debian: openjdk-17-jre-headless)"),
        ('java version "1.8.0_412"', 'does not serve (java version "1.8.0_412"): install a Java 17 to 21 runtime'),
        ('openjdk version "11.0.2" 2019', 'does not serve (openjdk version "11.0.2" 2019): install a Java 17 to 21'),
        ('openjdk version "16" 2021', "does not serve"),
        ('openjdk version "22" 2024', "does not serve"),
        ('openjdk version "25.0.1" 2025', 'does not serve (openjdk version "25.0.1" 2025): install a Java 17 to 21'),
        ("Unable to locate a Java Runtime.", "does not serve (Unable to locate a Java Runtime.)"),
        ("", "does not serve (it says nothing of its version)"),
    ],
)
def test_a_java_that_does_not_serve_is_one_line(java: str | None, said: str, make: Make) -> None:
    done = make("setup", THIS_PYTHON, None if java is None else java_that_says(java))
    assert done.returncode != 0
    assert said in done.stderr.splitlines()[0]
    assert len(done.stderr.splitlines()) == 2, "the second line is make's own"


@pytest.mark.parametrize("version", ['openjdk version "17.0.15" 2025-04-15', 'openjdk version "21.0.2" 2024'])
def test_a_java_that_serves_is_not_asked_again_until_it_is_another(
    tmp_path: Path, version: str, executable: Executable
) -> None:
    asked = tmp_path / "asked"
    java = executable(tmp_path / "bin" / "java", f"#!/bin/sh\necho asked >> {asked}\necho '{version}' >&2\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{java.parent}:{os.environ['PATH']}")
        for _ in range(2):
            needs.check_java(tmp_path / "stamp")
        assert asked.read_text() == "asked\n"
        os.utime(java, (1, 1))
        needs.check_java(tmp_path / "stamp")
        assert asked.read_text() == "asked\nasked\n"


@pytest.mark.parametrize("target", ["down", "status", "reset"])
def test_before_set_up_a_command_says_what_to_do_first(target: str, make: Make) -> None:
    done = make(target, THIS_PYTHON, None)
    assert done.returncode != 0
    assert "nothing is installed here yet: `make setup` does it" in done.stderr.splitlines()[0]


def test_the_interpreter_of_the_last_set_up_is_used_while_it_is_there(
    project: Path, make: Make, executable: Executable
) -> None:
    kept = executable(project / "other-python", "#!/bin/sh\necho the kept one\n")
    (project / ".local" / "setup").mkdir(parents=True)
    (project / ".local" / "setup" / "python").write_text(f"{kept}\n")
    assert make("setup", "#!/bin/sh\necho the usual one\n", None).stdout == "the kept one\n"
    kept.unlink()
    assert make("setup", "#!/bin/sh\necho the usual one\n", None).stdout == "the usual one\n"


def test_too_little_disk_is_said_with_what_it_is_for(tmp_path: Path) -> None:
    checkout = Checkout(tmp_path)
    checkout.local.mkdir()
    huge = Step("everything", 1e9, checkout.stamp("x"), lambda: None, lambda: None)
    with pytest.raises(CannotInstall, match=r"GB free at .*\.local: 1000000002.0 GB are needed .*everything"):
        needs.check_disk(checkout, [huge])
    needs.check_disk(checkout, [])
