"""The fuzz of ``make faults``: it runs, it finds what breaks a promise, and what it found can be tried again."""

import platform
import subprocess
import sys
from pathlib import Path

from stack.settings import REPO

BROKEN = """
from tests.faults import fuzz_verdicts
def broken(body, type_, by):
    assert b"quantity" not in body
fuzz_verdicts.verdicts = broken
fuzz_verdicts.main()
"""

WITHOUT = """
import sys
sys.modules["atheris"] = None
from tests.faults import fuzz_verdicts
fuzz_verdicts.main()
"""


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *words], cwd=REPO, capture_output=True, text=True, check=False, timeout=300)


def test_the_fuzz_runs_for_its_time_and_finds_nothing(tmp_path: Path) -> None:
    done = run("-m", "tests.faults.fuzz_verdicts", "--seconds", "3", "--folder", tmp_path)
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        assert "fuzz: skipped: Atheris is not here" in done.stdout
        return
    assert done.returncode == 0, done.stderr[-3000:]
    assert "Done " in done.stderr
    assert len(list((tmp_path / "corpus").iterdir())) > 100
    assert list(tmp_path.glob("crash-*")) == []


def test_without_atheris_the_fuzz_says_that_it_is_skipped_and_the_faults_go_on(tmp_path: Path) -> None:
    done = run("-c", WITHOUT, "--seconds", "3", "--folder", tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "fuzz: skipped: Atheris is not here" in done.stdout
    (tmp_path / "input").write_bytes(b"\0{")
    assert "all that must hold" in run("-c", WITHOUT, "--replay", tmp_path / "input").stdout


def test_the_fuzz_ends_at_the_first_broken_promise_and_keeps_the_input(tmp_path: Path) -> None:
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        return
    done = run("-c", BROKEN, "--seconds", "60", "--folder", tmp_path)
    assert done.returncode != 0
    assert "AssertionError" in done.stdout + done.stderr
    (crash,) = tmp_path.glob("crash-*")
    assert run("-c", BROKEN, "--replay", crash).returncode != 0
    assert run("-m", "tests.faults.fuzz_verdicts", "--replay", crash).returncode == 0
