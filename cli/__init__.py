"""The ``watershed`` command: a thin assembly of each room's own commands."""
