"""``make check``: every linter, type checker and staleness check, all of them even when one fails."""

import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from stack.settings import LOCAL, REPO

BIN = LOCAL / "envs" / "core" / "bin"
CHECKS: tuple[tuple[str, list[str]], ...] = (
    ("ruff", ["ruff", "check", "."]),
    ("ruff format", ["ruff", "format", "--check", "."]),
    ("mypy", ["mypy"]),
    ("sqlfluff", ["sqlfluff", "lint", "--disable-progress-bar", "dbt_project/models"]),
    ("contracts", ["watershed", "contracts", "generate", "--check"]),
    ("settings", ["python", "-m", "stack.settings_table", "--check"]),
    ("tracker", ["python", "-m", "collector.tracker_build", "--check"]),
    ("metrics", ["python", "-m", "superset_config.carry", "--check"]),
    ("exposures", ["python", "-m", "superset_config.exposures", "--check"]),
    ("DAGs' page", ["python", "-m", "stack.dags_page", "--check"]),
    ("reliability", ["python", "-m", "tests.faults.page", "--check"]),
)


def _run(check: tuple[str, list[str]]) -> tuple[str, float, str | None]:
    """Name of a check, its seconds, and what it printed when it failed."""
    name, (program, *words) = check
    start = time.monotonic()
    done = subprocess.run([BIN / program, *words], cwd=REPO, capture_output=True, text=True, check=False)
    return name, time.monotonic() - start, done.stdout + done.stderr if done.returncode else None


def main() -> int:
    """Run all checks, two at a time and told in their order; 1 when any fails."""
    failed = []
    with ThreadPoolExecutor(max_workers=2) as pool:
        for name, seconds, wrong in pool.map(_run, CHECKS):
            sys.stdout.write(f"  {name:<12} {'ok' if wrong is None else 'FAILED'} ({seconds:.1f} s)\n")
            if wrong is not None:
                failed.append(name)
                sys.stdout.write(wrong)
            sys.stdout.flush()
    if failed:
        sys.stdout.write(f"check: {', '.join(failed)} failed\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
