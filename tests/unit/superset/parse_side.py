"""Runs in Superset's environment: asks its own parser, before and after ``remember_parses``; prints JSON.

Only ``superset.sql`` and Jinja are loaded, no application, database or server.
"""

import gc
import json
import sys
import traceback
import weakref
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).parents[3]))

import sqlglot
from jinja2 import DebugUndefined, Environment, TemplateSyntaxError
from jinja2.compiler import CodeGenerator
from jinja2.exceptions import SecurityError
from superset.exceptions import SupersetParseError
from superset.sql.parse import LimitMethod, RLSMethod, SQLScript, Table

from superset_config.parses import LONGEST, KeptTemplates, remember_parses

CHART = "with a as (select region, n from marts.region_daily) select region, sum(n) as n from a group by region"
WRITES = "insert into marts.region_daily select 1"
NO_SQL = "select a from {% if b %} where c"
IN_TURNS = 400
"""Texts of one tenant's dashboards, and more: that of each chart, and each dataset's."""


def told(script: SQLScript) -> list[object]:
    """All that Superset asks of a script when a chart is answered."""
    return [
        script.format(),
        script.has_mutation(),
        len(script.statements),
        sorted(str(table) for statement in script.statements for table in statement.tables),
    ]


def refused(text: str) -> str:
    """What Superset says of a text that cannot be parsed, to people and to programs; nothing of others."""
    try:
        SQLScript(text, "postgresql")
    except SupersetParseError as error:
        return f"{error} {error.status} {error.to_dict()}"
    return ""


def ruled(rule: str) -> str:
    """The chart's SQL under a rule of row-level security, as Superset applies it; for no rule with none."""
    script = SQLScript(CHART, "postgresql")
    statement = script.statements[0]
    rules = [statement.parse_predicate(rule)] if rule else []
    statement.apply_rls(None, "marts", {Table("region_daily", "marts"): rules}, RLSMethod.AS_SUBQUERY)
    return script.format()


def copies_of_a_chart() -> int:
    """How often a tree is copied to answer a chart over tables without rules."""
    with mock.patch.object(sqlglot.exp.Select, "copy", autospec=True, side_effect=sqlglot.exp.Select.copy) as copied:
        told(SQLScript(CHART, "postgresql"))
        ruled("")
    return copied.call_count


def parses_of(texts: list[tuple[str, str]]) -> int:
    """How often sqlglot is asked to parse for ``texts``, each with the name of its engine."""
    with mock.patch.object(sqlglot, "parse", wraps=sqlglot.parse) as parse:
        for text, engine in texts:
            SQLScript(text, engine)
    return parse.call_count


def frames_of_a_refusal(text: str) -> int:
    """How many frames the traceback of an error has."""
    try:
        SQLScript(text, "postgresql")
    except SupersetParseError as error:
        return len(traceback.extract_tb(error.__traceback__))
    return 0


def parses_of_what_is_none(text: str) -> int:
    """How often sqlglot is asked to parse a text that is refused twice."""
    with mock.patch.object(sqlglot, "parse", wraps=sqlglot.parse) as parse:
        for _ in range(2):
            refused(text)
    return parse.call_count


def trees_kept(texts: list[str]) -> int:
    """How many of the trees that ``texts`` were parsed to are there when nobody asks any more."""
    trees = []
    for text in texts:
        script = SQLScript(text, "postgresql")
        told(script)
        trees.append(weakref.ref(script.statements[0]._untouched()._parsed))
        del script
    gc.collect()
    return sum(tree() is not None for tree in trees)


def parsers_left(text: str) -> int:
    """How many parsers, with all that they had read, are there when a text was refused."""
    refused(text)
    gc.collect()
    return sum(isinstance(each, sqlglot.parser.Parser) for each in gc.get_objects())


def parses_in_turns(texts: list[str]) -> int:
    """How often sqlglot is asked to parse for ``texts``, one after another and all of them again: as dashboards do."""
    with mock.patch.object(sqlglot, "parse", wraps=sqlglot.parse) as parse:
        for text in texts * 2:
            told(SQLScript(text, "postgresql"))
    return parse.call_count


def template_environment(which: object) -> Environment:
    """Made for each question, as Superset does: with a filter that knows its database."""
    made = KeptTemplates(undefined=DebugUndefined)
    made.filters["where_in"] = lambda values: f"{which}: {values}"
    return made


def rendered(text: str, which: object = None, **context: object) -> str:
    """``text`` as one question renders it."""
    return template_environment(which).from_string(text).render(**context)


def compiled(texts: list[str]) -> int:
    """How often Jinja compiles for ``texts``."""
    with mock.patch.object(
        CodeGenerator, "visit_Template", autospec=True, side_effect=CodeGenerator.visit_Template
    ) as m:
        for text in texts:
            template_environment(None).from_string(text)
    return m.call_count


def not_rendered(text: str, error: type[Exception]) -> bool:
    """Whether rendering ``text`` is refused with ``error``."""
    try:
        rendered(text, tenant="a")
    except error:
        return True
    return False


texts = [CHART, WRITES, f"{CHART}; {WRITES}", "select 1; -- the end"]
refused_at_first = refused(NO_SQL)
fresh = [told(SQLScript(text, "postgresql")) for text in texts]
remember_parses()
first, again = ([told(SQLScript(text, "postgresql")) for text in texts] for _ in range(2))

changed = SQLScript(CHART, "postgresql")
changed.statements[0].set_limit_value(7, LimitMethod.FORCE_LIMIT)
changed.statements[0].tables.clear()
writing = SQLScript(CHART, "postgresql")
writing.statements[0]._parsed = SQLScript(WRITES, "postgresql").statements[0]._parsed

untouched = SQLScript(CHART, "postgresql")

facts = {
    "same": fresh == first == again,
    "limited": "LIMIT 7" in changed.format(),
    "ruled": [ruled(f"tenant = '{name}'") for name in ("a", "b")],
    "writes_when_changed": [writing.has_mutation(), "INSERT" in writing.format()],
    "copies": copies_of_a_chart(),
    "untouched": told(untouched) == fresh[0] and untouched.statements[0].get_limit_value() is None,
    "refused": [refused_at_first, *(refused(NO_SQL) for _ in range(2))],
    "frames": [frames_of_a_refusal(NO_SQL) for _ in range(3)],
    "parsers_left": parsers_left(NO_SQL + " and"),
    "refusals": parses_of_what_is_none(NO_SQL + " or"),
    "asked_twice": parses_of([("select 41 as a", "postgresql")] * 2),
    "asked_with_and_without_line_end": parses_of(
        [("select 43 as a", "postgresql"), ("select 43 as a\n", "postgresql")]
    ),
    "asked_in_two_dialects": parses_of([("select 42 as a", "postgresql"), ("select 42 as a", "duckdb")]),
    "asked_in_turns": parses_in_turns([f"select {number} as a" for number in range(IN_TURNS)]),
    "trees_kept": trees_kept([f"select {number} as b" for number in range(3)]),
    "rendered": [rendered("{{ tenant }} {{ f(2) }}", tenant=t, f=lambda n, t=t: t * n) for t in ("a", "b", "a")],
    "filters_of_a_database": [rendered("{{ ['x'] | where_in }}", which) for which in ("one", "other")],
    "sandboxed": [not_rendered("{{ tenant.__class__.__mro__ }}", SecurityError) for _ in range(2)],
    "not_a_template": [not_rendered("{% if %}", TemplateSyntaxError) for _ in range(2)],
    "compiled_twice": compiled(["{{ first }}"] * 2),
    "compiled_too_long": compiled(["{{ second }}" + " " * LONGEST] * 2),
    "too_long_asked_twice": parses_of([(f"select '{'x' * LONGEST}' as a", "postgresql")] * 2),
}
print(json.dumps(facts))  # noqa: T201 - how the test is told
