"""What of a rejection may be counted by: words that contracts and code know, never what a sender wrote. Pure."""

import json
import re
from collections.abc import Iterable
from typing import Any

from contracts.model import Contract

NONE = "(none)"
UNKNOWN = "(unknown)"
UNREADABLE = "(unreadable)"
_KEYWORD = re.compile(r"[A-Za-z][A-Za-z_]{0,39}")
_OF_AN_EVENT = ("event_id", "event_type", "schema_version", "occurred_at", "data")
_OF_A_STAMP = ("tenant", "received_at", "collector_id", "sequence", "minted")
"""Fields that the collector adds; what is wrong with one of them the lander says."""
_OF_THE_SHORT_FORM = ("timestamp", "region", "pageName", "eventId", "visitorId")

Reason = tuple[str, str]
"""A keyword, and the field that it is about."""


class Labels:
    """The labels that counts have, bounded in number whatever is sent: a tenant's own text is in none of them."""

    def __init__(self, contracts: Iterable[Contract]) -> None:
        contracts = tuple(contracts)
        self._types = frozenset(c.type for c in contracts)
        self._fields = frozenset(field.name for c in contracts for field in c.fields)
        self._newest = {c.type: c.version for c in contracts}

    def event_type(self, claimed: str | None) -> str:
        """The type that a rejected event claimed to be, where there is a contract of that name."""
        if claimed is None:
            return NONE
        return claimed if claimed in self._types else UNKNOWN

    def version(self, claimed: str | None, version: int | None) -> str:
        """The contract version that a rejected event names, where its type has had one of that number."""
        if version is None:
            return NONE
        return f"v{version}" if 1 <= version <= self._newest.get(claimed or "", 0) else UNKNOWN

    def reasons(self, text: str) -> tuple[Reason, ...]:
        """Every distinct reason of a rejection, in its own order (by field); at least one."""
        try:
            given = json.loads(text)
        except ValueError:
            given = None
        found = given if isinstance(given, list) else []
        return tuple(dict.fromkeys(self.reason(each) for each in found)) or ((UNREADABLE, ""),)

    def reason(self, given: Any) -> Reason:
        """One reason of a rejection: pointer, keyword and message, as it is kept."""
        if not isinstance(given, dict):
            return UNREADABLE, ""
        keyword, pointer = given.get("keyword"), given.get("pointer")
        known = keyword if isinstance(keyword, str) and _KEYWORD.fullmatch(keyword) else UNKNOWN
        return known, self._field(pointer) if isinstance(pointer, str) else UNKNOWN

    def _field(self, pointer: str) -> str:
        """The pointer as far as a contract knows it: what an unknown field or a label is called, the sender wrote."""
        if pointer == "":
            return ""
        first, *rest = pointer.removeprefix("/").split("/")
        if first == "data" and rest:
            return f"/data/{rest[0] if rest[0] in self._fields else UNKNOWN}"
        known = first in _OF_AN_EVENT or first in _OF_A_STAMP or first in _OF_THE_SHORT_FORM
        return f"/{first}" if known else UNKNOWN
