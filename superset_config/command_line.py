"""Superset's own command line, as a program's own work: ``python -m superset_config.command_line db upgrade``."""

import sys

from superset_config.own_work import own_work


def main() -> None:
    """Run it with the arguments of this program; ends the process."""
    from superset.cli.main import superset  # noqa: PLC0415 - loading Superset takes ten seconds

    with own_work():
        superset(sys.argv[1:], prog_name="superset")


if __name__ == "__main__":
    main()
