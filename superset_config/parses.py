"""What Superset parsed is kept: one chart parses the same SQL three times, and reads it as often (ADR 0023).

So is what a dataset's template compiles to, which every question of its charts begins with.

Superset parses a dataset's SQL to see that it is one statement, that it changes nothing, and which tables' rules of
row-level security apply, and once more with the chart's around it to run it. What a text parses to, whether it changes
anything and how it is written out depends on the text and the dialect alone, and on nobody's rights, so it serves every
reader. Whose rows a reader may see is decided anew each time.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cached_property, lru_cache
from types import CodeType
from typing import Any

from jinja2 import DebugUndefined, TemplateAssertionError
from jinja2.sandbox import SandboxedEnvironment
from superset.sql.parse import SQLStatement

MOST_STATEMENTS = 128
"""How many scripts are kept, at about 0.7 MB each for the longest of our datasets: 90 MB at most."""

LONGEST = 16_384
"""Characters: what is longer (in SQL Lab, or many regions chosen) is parsed each time, not kept."""

MOST_TEMPLATES = 128
"""How many compiled templates are kept, at a few kilobytes each: more than there are datasets."""


class Kept:
    """A parsed statement that nobody changes, and what follows from its text alone."""

    def __init__(self, statement: SQLStatement) -> None:
        self.statement = statement

    @cached_property
    def mutates(self) -> bool:
        """Whether it changes data."""
        return bool(self.statement.is_mutating())

    @cached_property
    def text(self) -> str:
        """How it is sent to the database, comments included."""
        return str(self.statement.format())


class Own(SQLStatement):
    """A statement that reads the kept parse until somebody asks for the tree, and has a copy of its own from then on.

    Superset changes trees in place, to add limits and rules. Whoever takes the tree may be about to, so each way to it
    makes the copy: also one that a later Superset adds.
    """

    def __init__(self, kept: Kept) -> None:
        # Not Superset's own: it would parse, or look for the tables again.
        vars(self).update({name: value for name, value in vars(kept.statement).items() if name != "_parsed"})
        self.tables = set(kept.statement.tables)
        self._kept = kept
        self._tree: Any = None

    @property
    def _parsed(self) -> Any:
        if self._tree is None:
            self._tree = self._kept.statement._parsed.copy()
        return self._tree

    @_parsed.setter
    def _parsed(self, tree: Any) -> None:
        self._tree = tree

    def format(self, comments: bool = True) -> str:
        """As Superset's."""
        return self._kept.text if self._tree is None and comments else str(super().format(comments))

    def is_mutating(self) -> bool:
        """As Superset's."""
        return self._kept.mutates if self._tree is None else bool(super().is_mutating())

    def apply_rls(
        self, catalog: str | None, schema: str | None, predicates: Mapping[Any, list[Any]], method: Any
    ) -> None:
        """As Superset's, which copies the tree also where no table has a rule."""
        if any(predicates.values()):
            super().apply_rls(catalog, schema, predicates, method)


def remembered(split: Callable[[str, str], list[SQLStatement]]) -> Callable[[type, str, str], list[SQLStatement]]:
    """``split`` (SQL and Superset's name of the engine to statements) as a class's method that parses a text once.

    Each caller has statements of its own. A text that cannot be parsed raises as it did, each time.
    """

    @lru_cache(MOST_STATEMENTS)
    def kept(script: str, engine: str) -> list[Kept]:
        return [Kept(statement) for statement in split(script, engine)]

    def split_script(_cls: type, script: str, engine: str) -> list[SQLStatement]:
        if len(script) > LONGEST:
            return split(script, engine)
        # Superset asks for a dataset's SQL with and without a line's end.
        return [Own(each) for each in kept(script.rstrip(), engine)]

    return split_script


def remember_parses() -> None:
    """Have Superset's SQL statements parsed once for each text."""
    SQLStatement.split_script = classmethod(remembered(SQLStatement.split_script))


class KeptTemplates(SandboxedEnvironment):
    """Superset's Jinja, which compiles a text once. What it gives is rendered anew, for whoever asks, each time.

    A filter over constants is worked out while compiling, and Superset's own may depend on the database that is asked:
    texts that Jinja alone cannot compile, for a filter it does not know, are compiled each time.
    """

    def compile(self, source: Any, *args: Any, **kwargs: Any) -> Any:
        """As Jinja's."""
        if isinstance(source, str) and len(source) <= LONGEST and not any((*args, *kwargs.values())):
            with suppress(TemplateAssertionError):
                return _compiled(source)
        return super().compile(source, *args, **kwargs)


@lru_cache(MOST_TEMPLATES)
def _compiled(source: str) -> CodeType:
    """``source`` as Jinja compiles it, without Superset's filters.

    :raises jinja2.TemplateSyntaxError: each time
    """
    code: CodeType = SandboxedEnvironment(undefined=DebugUndefined).compile(source)
    return code


def remember_templates() -> None:
    """Have the templates of Superset's datasets compiled once for each text."""
    from superset import jinja_context  # noqa: PLC0415 - it loads Superset, which loads the settings

    jinja_context.SandboxedEnvironment = KeptTemplates
