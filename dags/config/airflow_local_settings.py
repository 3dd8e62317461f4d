"""Read by every Airflow process before anything else.

It refuses to start with secrets that are missing or well known: Airflow itself makes up a missing key at random and
starts, in each process with another one; tokens of one are then refused by the other.

And it lets workers die with their scheduler: they would outlive a killed one for ever, each holding its memory.
"""

import ctypes
import os
import signal
import sys

SECRETS = ("AIRFLOW__CORE__FERNET_KEY", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__API_AUTH__JWT_SECRET")
SHORTEST = 32
"""Characters. A generated key of 32 bytes has 44 of them in base64 and 64 in hexadecimal."""
WELL_KNOWN = ("changeme", "secret", "password", "temporary_key", "airflow", "watershed", "default")


def weakness(value: str) -> str | None:
    """What is wrong with a secret, or None."""
    if not value:
        return "is missing"
    if len(value) < SHORTEST:
        return f"has {len(value)} characters, fewer than {SHORTEST}"
    if any(word in value.lower() for word in WELL_KNOWN) or len(set(value)) < SHORTEST // 4:
        return "is no random value"
    return None


def check_secrets() -> None:
    """Look at the environment, where a value may also come from a command or a secrets backend.

    :raises SystemExit: naming every secret that will not do.
    """
    bad = [
        f"{name} {found}"
        for name in SECRETS
        if not {f"{name}_CMD", f"{name}_SECRET"} & set(os.environ) and (found := weakness(os.environ.get(name, "")))
    ]
    if bad:
        raise SystemExit(
            "Airflow does not start: " + "; ".join(bad) + ". Give it random values (`make up` makes them)."
        )


PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask Linux to kill each process forked from here on when the process that forked it ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    parent = [0]

    def ask() -> None:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent[0]:  # it ended before it could be asked
            os._exit(1)

    os.register_at_fork(before=lambda: parent.__setitem__(0, os.getpid()), after_in_child=ask)


check_secrets()
if sys.platform == "linux" and "scheduler" in sys.argv[1:2]:
    die_with_parent()

__all__: list[str] = []
