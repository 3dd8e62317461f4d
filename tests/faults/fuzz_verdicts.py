"""A coverage-guided fuzz of what the collector does with a body, by Atheris (libFuzzer).

``make faults``, or ``python -m tests.faults.fuzz_verdicts --seconds 600``. Bodies are made up from the contracts'
examples, the hostile texts of docs/bad-input.md and what earlier runs found; those that reach code which none reached
before are kept. Each goes from its bytes to the values of its Kafka messages, and through the lander's decoder where it
is accepted; tests/unit/collector/judging_kit.py says what must hold. The first that breaks it ends the run, with its
traceback and a file to try again with ``--replay FILE``. Without Atheris nothing is fuzzed, which is said and is no
failure: `make faults` has more to do.
"""

import argparse
import contextlib
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

try:
    import atheris
except ModuleNotFoundError:
    atheris = None

with atheris.instrument_imports(include=["collector", "contracts"]) if atheris else contextlib.nullcontext():
    from collector.keys import KeyKind
    from tests.unit.collector.judging_kit import REGISTRY, source, verdicts

from stack.settings import LOCAL
from tests.integration.collector import hostile_texts

_NOT_HERE = "Atheris is not here: `make setup-dev` installs it on Linux on x86-64, for which alone it is made"
TYPES = ("application/json", "application/x-ndjson", "text/plain")
KINDS = tuple(KeyKind)
LONGEST = 40_000
"""Bytes of an input: more than an event may have."""
TOKENS = (
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    '"',
    "null",
    "true",
    "NaN",
    "1e400",
    "-0",
    "\\\\u0000",
    "\\\\ud800",
    "\\\\udc00",
)


def judge(data: bytes) -> None:
    """Try one input: its first byte says how it is sent, the rest is the body."""
    how, body = (data[0], data[1:]) if data else (0, b"")
    by = source(KINDS[how // 3 % 3], short_form=bool(how & 64), idempotency_key="key" if how & 128 else None)
    verdicts(body, TYPES[how % 3], by)


def seeds() -> Iterator[bytes]:
    """Inputs to begin with: every contract's examples, and the hostile texts."""
    for file in sorted(REGISTRY.path.glob("*/examples/*.json")):
        yield b"\0" + file.read_bytes()
    for rows in (hostile_texts.JSON, hostile_texts.VALUES, hostile_texts.TIMES, hostile_texts.BATCHES):
        for row in rows.values():
            yield from (b"\0" + text for text in row.texts[:1] if len(text) < LONGEST)
    short = {"timestamp": "2026-11-23T11:00:00Z", "region": "DE", "pageName": "/", "eventId": "x", "visitorId": "v"}
    yield b"\x40" + json.dumps(short).encode()


def dictionary() -> str:
    """Words that the fuzzer may put in, in libFuzzer's form: JSON's, and every name and choice of the contracts."""
    words = {*TOKENS, "event_type", "event_id", "occurred_at", "schema_version", "data", *REGISTRY.types()}
    for contract in REGISTRY:
        words |= {field.name for field in contract.fields}
        words |= {choice for schema in contract.schema["properties"].values() for choice in schema.get("enum", ())}
    return "".join('"{}"\n'.format(word.replace('"', '\\"')) for word in sorted(words))


def main() -> None:
    """Fuzz for a time, or try one input again; the exit code is not 0 when something that must hold did not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=600, help="how long to try (default: 600)")
    parser.add_argument("--seed", type=int, default=1, help="of the choices; another one tries others (default: 1)")
    parser.add_argument(
        "--folder", type=Path, default=LOCAL / "faults" / "verdicts", help="where inputs worth keeping, and crashes, go"
    )
    parser.add_argument("--replay", type=Path, metavar="FILE", help="try only this input again")
    given = parser.parse_args()
    if given.replay is not None:
        judge(given.replay.read_bytes())
        sys.stdout.write("fuzz: all that must hold of this input does\n")
        return
    if atheris is None:
        sys.stdout.write(f"fuzz: skipped: {_NOT_HERE}\n")
        return
    corpus = given.folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds()):
        (corpus / f"seed-{number:03d}").write_bytes(seed)
    with tempfile.NamedTemporaryFile("w", suffix=".dict", delete=False) as words:
        words.write(dictionary())
    options: dict[str, Any] = {
        "max_total_time": given.seconds,
        "seed": given.seed,
        "max_len": LONGEST,
        "timeout": 20,
        "rss_limit_mb": 2048,
        "artifact_prefix": f"{given.folder}/",
        "dict": words.name,
        "print_final_stats": 1,
    }
    atheris.Setup([sys.argv[0], str(corpus), *(f"-{name}={value}" for name, value in options.items())], judge)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
