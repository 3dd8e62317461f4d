"""Set-up: what is installed is what the locks say, made by this interpreter, and stays so."""

import hashlib
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from stack.install import environments, jars
from stack.install.checkout import CannotInstall, Checkout, Step

Executable = Callable[[Path, str], Path]
FAKE_UV = f"""\
#!/bin/sh
# `uv venv --clear --python PYTHON PLACE`; `uv pip sync --require-hashes LOCK`
echo "$@" >> "$UV_CALLS"
case $1 in venv) exec {sys.executable} -m venv --clear --without-pip "$5" ;; esac
"""
FAKE_IVY = """\
import os, pathlib, re, sys
arguments = dict(zip(sys.argv[3::2], sys.argv[4::2]))
wanted = re.findall('org="(.+?)" name="(.+?)" rev="(.+?)"', pathlib.Path(arguments["-ivy"]).read_text())
for group, artifact, version in wanted:
    print("fetched", artifact)
    pattern = arguments["-retrieve"].replace("[organisation]", group).replace("[ext]", "jar")
    path = pathlib.Path(pattern.replace("[artifact]", artifact).replace("[revision]", version))
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():  # as Ivy: what is there is not written over
        path.write_text(os.environ.get("SERVED", f"jar {artifact} {version}"))
"""


@pytest.fixture
def checkout(tmp_path: Path, executable: Executable) -> Checkout:
    """A checkout with a lock file and an installer that only makes empty environments."""
    made = Checkout(tmp_path / "project")
    made.stamp("").mkdir(parents=True)
    made.lock_file("").mkdir(parents=True)
    made.lock_file("some.txt").write_text("library==1\n")
    executable(made.environment("tools") / "bin" / "uv", FAKE_UV)
    return made


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UV_CALLS", str(tmp_path / "calls"))
    return tmp_path / "calls"


def installs(step: Step, calls: Path) -> list[str]:
    """The installer's verbs, if the step has anything to do."""
    calls.write_text("")
    if not step.is_done():
        step.do()
    return [line.split(" --")[0] for line in calls.read_text().splitlines()]


def test_an_environment_is_installed_once_and_again_when_its_lock_changes(checkout: Checkout, calls: Path) -> None:
    step = environments.step(checkout, "some", "some.txt", 1)
    assert installs(step, calls) == ["venv", "pip sync", "cache prune"]
    assert installs(step, calls) == []
    checkout.lock_file("some.txt").write_text("library==2\n")
    assert installs(step, calls) == ["pip sync", "cache prune"]


@pytest.mark.parametrize("now", ["/nowhere/python3", "/bin/sh"])
def test_an_environment_whose_interpreter_is_gone_or_another_is_made_anew(
    checkout: Checkout, calls: Path, now: str
) -> None:
    step = environments.step(checkout, "some", "some.txt", 1)
    installs(step, calls)
    python = checkout.environment("some") / "bin" / "python"
    python.unlink()
    python.symlink_to(now)
    assert installs(step, calls) == ["venv", "pip sync", "cache prune"]
    assert installs(step, calls) == []


def test_an_environment_of_another_version_is_made_anew(checkout: Checkout, calls: Path) -> None:
    step = environments.step(checkout, "some", "some.txt", 1)
    installs(step, calls)
    (packages,) = (checkout.environment("some") / "lib").iterdir()
    packages.rename(packages.with_name("python3.8"))
    assert installs(step, calls) == ["venv", "pip sync", "cache prune"]


def test_an_environment_that_was_moved_with_its_checkout_is_made_anew(
    checkout: Checkout, calls: Path, tmp_path: Path
) -> None:
    installs(environments.step(checkout, "some", "some.txt", 1), calls)
    moved = Checkout(tmp_path / "elsewhere")
    checkout.repo.rename(moved.repo)
    assert installs(environments.step(moved, "some", "some.txt", 1), calls) == ["venv", "pip sync", "cache prune"]


def test_an_interrupted_step_is_done_again(checkout: Checkout, calls: Path) -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    whole = environments.step(checkout, "some", "some.txt", 1)
    with pytest.raises(KeyboardInterrupt):
        Step(whole.name, 1, whole.stamp, whole.state, interrupted).do()
    assert installs(whole, calls) == ["venv", "pip sync", "cache prune"]
    assert installs(whole, calls) == []


def test_a_failed_command_is_told_with_its_last_words_and_its_log(checkout: Checkout) -> None:
    with pytest.raises(CannotInstall, match=r"sh failed \(3\), see .*setup-some\.log: no route to host; run"):
        checkout.run(["sh", "-c", "echo no route to host; exit 3"], "some")


def lock_jars(checkout: Checkout, *names: str) -> None:
    def row(name: str) -> str:
        return f"kafka org.x:{name}:1 sha256:{hashlib.sha256(f'jar {name} 1'.encode()).hexdigest()}\n"

    checkout.lock_file("jars.lock").write_text("# server jar checksum\n" + "".join(row(name) for name in names))


@pytest.fixture
def jar_step(checkout: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, executable: Executable) -> Step:
    """The step of two jars, whose repository is a fake ``java`` that serves whatever is asked for."""
    executable(tmp_path / "bin" / "java", f'#!/bin/sh\nexec {sys.executable} {tmp_path / "ivy.py"} "$@"\n')
    (tmp_path / "ivy.py").write_text(FAKE_IVY)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    ivy = checkout.environment("core") / "lib" / "python3" / "site-packages" / "pyspark" / "jars" / "ivy-2.jar"
    ivy.parent.mkdir(parents=True)
    ivy.touch()
    lock_jars(checkout, "one", "two")
    return jars.step(checkout, 1)


def class_path(checkout: Checkout) -> dict[str, str]:
    return {path.name: path.read_text() for path in (checkout.local / "jars" / "kafka").iterdir()}


def test_a_jar_that_the_lock_no_longer_names_leaves_the_class_path(checkout: Checkout, jar_step: Step) -> None:
    jar_step.do()
    assert class_path(checkout) == {"org.x.one-1.jar": "jar one 1", "org.x.two-1.jar": "jar two 1"}
    lock_jars(checkout, "two")
    assert not jar_step.is_done()
    jar_step.do()
    assert list(class_path(checkout)) == ["org.x.two-1.jar"]
    assert jar_step.is_done()


def test_a_jar_that_somebody_added_leaves_the_class_path(checkout: Checkout, jar_step: Step) -> None:
    jar_step.do()
    (checkout.local / "jars" / "kafka" / "stray.jar").touch()
    assert not jar_step.is_done()
    jar_step.do()
    assert "stray.jar" not in class_path(checkout)


@pytest.mark.parametrize("place", ["jars/kafka/org.x.one-1.jar", "cache/jars/org.x/one-1.jar"])
def test_a_damaged_jar_is_fetched_anew(checkout: Checkout, jar_step: Step, place: str) -> None:
    jar_step.do()
    damaged = checkout.local / place
    damaged.write_text("cut off")
    assert not jar_step.is_done()
    jar_step.do()
    assert class_path(checkout)["org.x.one-1.jar"] == "jar one 1"
    fetched = [path.read_text() for path in sorted((checkout.local / "logs").glob("setup-jars-*.log"))]
    assert fetched[0] == "fetched one\n", "only the damaged one is"


def test_a_damaged_jar_that_only_the_server_sees_is_put_right(checkout: Checkout, jar_step: Step) -> None:
    """Where the class path's file is no longer the cache's: replaced, not written over."""
    jar_step.do()
    placed = checkout.local / "jars" / "kafka" / "org.x.one-1.jar"
    placed.unlink()
    placed.write_text("another")
    assert not jar_step.is_done()
    jar_step.do()
    assert class_path(checkout)["org.x.one-1.jar"] == "jar one 1"


def test_a_jar_whose_checksum_is_wrong_is_refused_and_not_kept(
    checkout: Checkout, jar_step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVED", "something else")
    with pytest.raises(CannotInstall, match=r"one-1\.jar does not have the checksum in requirements/jars\.lock"):
        jar_step.do()
    assert not (checkout.local / "jars").exists()
    monkeypatch.delenv("SERVED")
    jar_step.do()
    assert class_path(checkout)["org.x.one-1.jar"] == "jar one 1"


def test_a_second_setup_waits_for_the_first(checkout: Checkout, capsys: pytest.CaptureFixture[str]) -> None:
    order: list[str] = []

    def second() -> None:
        with checkout.alone():
            order.append("second")

    other = threading.Thread(target=second)
    with checkout.alone():
        other.start()
        other.join(timeout=0.3)
        order.append("first")
    other.join()
    assert order == ["first", "second"]
    assert "another one is at work here; waiting" in capsys.readouterr().out
