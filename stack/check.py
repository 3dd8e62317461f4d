"""``make check``: every linter, type checker and staleness check, all of them even when one fails."""

import subprocess
import sys
import time

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


def main() -> int:
    """Run all checks; 1 when any fails."""
    failed = []
    for name, (program, *words) in CHECKS:
        start = time.monotonic()
        done = subprocess.run([BIN / program, *words], cwd=REPO, capture_output=True, text=True, check=False)
        verdict = "ok" if done.returncode == 0 else "FAILED"
        sys.stdout.write(f"  {name:<12} {verdict} ({time.monotonic() - start:.1f} s)\n")
        if done.returncode:
            failed.append(name)
            sys.stdout.write(done.stdout + done.stderr)
    if failed:
        sys.stdout.write(f"check: {', '.join(failed)} failed\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
