"""``python -m stack.install [--dev] [--quiet]``"""

import argparse
import sys
import time
from pathlib import Path

from stack.install import environments, jars, machine
from stack.install.checkout import CannotInstall, Checkout, Step, say


def main() -> int:
    """Install what is missing; 0 when all is there, 1 with one line on standard error when it cannot be."""
    parser = argparse.ArgumentParser(
        prog="setup", description="Install Watershed's environments and servers under .local/."
    )
    parser.add_argument("--dev", action="store_true", help="also what the tests and linters need")
    parser.add_argument("--quiet", action="store_true", help="say nothing when all is there")
    options = parser.parse_args()
    start, did = time.monotonic(), False
    checkout = Checkout(Path(__file__).resolve().parents[2])
    try:
        machine.check_python()
        checkout.stamp("").mkdir(parents=True, exist_ok=True)
        machine.check_java(checkout.stamp("java"))
        with checkout.alone():
            missing = [step for step in _steps(checkout, options.dev) if not step.is_done()]
            machine.check_disk(checkout, missing)
            for step in missing:
                step.do()
                did = True
            # What later commands of the Makefile run, also where `python3` is another one.
            checkout.stamp("python").write_text(f"{Path(sys.executable).resolve()}\n")
    except CannotInstall as error:
        sys.stderr.write(f"setup: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("setup: interrupted; `make setup` goes on from here\n")
        return 130
    if did or not options.quiet:
        say(f"setup: all there ({time.monotonic() - start:.1f} s)")
    return 0


def _steps(checkout: Checkout, dev: bool) -> list[Step]:
    """Everything there is to install, in order; gigabytes are with downloads, rounded up."""
    # A plain set-up must not take the linters away again.
    has_dev = environments.step(checkout, "core", "dev.txt", 0).is_done()
    return [
        environments.step(checkout, "tools", "uv.txt", 0.1),
        environments.step(checkout, "core", "dev.txt" if dev or has_dev else "core.txt", 3.0),
        environments.step(checkout, "airflow", "airflow.txt", 1.2),
        environments.step(checkout, "superset", "superset.txt", 1.2),
        jars.step(checkout, 0.5),
    ]


if __name__ == "__main__":
    sys.exit(main())
