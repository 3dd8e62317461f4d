"""What is safe to open in a spreadsheet: names of pages and apps are what senders chose."""

from typing import Any

STARTS_A_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def harmless(value: Any) -> Any:
    """``value``; a text that a spreadsheet would run as a formula with a quote before it (OWASP, "CSV Injection")."""
    return f"'{value}" if isinstance(value, str) and value.startswith(STARTS_A_FORMULA) else value
