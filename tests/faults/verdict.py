"""The verdict on one fault, a row of the table in docs/reliability.md."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from stack.settings import REPO

RESULTS = REPO / "docs" / "reliability.json"
"""The last written results, by fault."""


@dataclass
class Verdict:
    """What one fault came to. Times are seconds since the fault, or since it was over where its maker ended it."""

    fault: str
    kind: str
    seconds: float = 0
    """How long the fault lasted."""
    sent: int = 0
    acknowledged: int = 0
    unknown: int = 0
    refused: int = 0
    rejected: int | None = None
    """Bad events, in the lake with their reason; None: nobody looked, or there was no lake, as below."""
    landed: int | None = None
    """Good events in the lake, each once; ``minted`` of them were sent without an id."""
    minted: int | None = None
    duplicates: int | None = None
    """Rows of events that were sent again, and ``copies``, of messages that came twice: neither counts."""
    copies: int | None = None
    counted: int | None = None
    """In the rollups; None as above."""
    red_after: float | None = None
    """None: over before anybody looked."""
    recovered_after: float | None = None
    caught_up_after: float | None = None
    """When everything that was taken until then is counted."""
    bound: float = 0
    """Seconds within which it must recover."""
    books: str = ""
    """``balance``, or what does not."""
    checksums: str = ""
    """``equal`` after everything was computed again, or which are not."""
    about: str = ""
    """What a reader has to know besides."""
    findings: list[str] = field(default_factory=list)
    """What did not hold; empty: all did."""

    @property
    def held(self) -> bool:
        """Whether every promise was kept."""
        return not self.findings


def keep(verdicts: Iterable[Verdict], about: Mapping[str, str], path: Path = RESULTS) -> None:
    """Write the results of a run, with when and where it was; those of other faults stay as they were."""
    before = json.loads(path.read_text()) if path.exists() else {}
    new = {v.fault: {**asdict(v), **about, "held": v.held} for v in verdicts}
    text = json.dumps({**before, **new}, indent=1, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n")
