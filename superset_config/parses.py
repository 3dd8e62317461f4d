"""What Superset parsed is kept: one chart parses the same SQL three times, and reads it as often (ADR 0023).

So is what a dataset's template compiles to, which every question of its charts begins with.

Superset parses a dataset's SQL to see that it is one statement, that it changes nothing, and which tables' rules of
row-level security apply, and once more with the chart's around it to run it. What a text parses to, whether it changes
anything and how it is written out depends on the text and the dialect alone, and on nobody's rights, so it serves every
reader. Whose rows a reader may see is decided anew each time.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy
from functools import lru_cache, partial
from types import CodeType
from typing import Any

from jinja2 import DebugUndefined, TemplateAssertionError
from jinja2.sandbox import SandboxedEnvironment
from superset.exceptions import SupersetParseError
from superset.sql.parse import SQLStatement

MOST_STATEMENTS = 1024
"""How many scripts are kept, at about 20 kB each for the longest of our datasets, 50 MB at most: every chart of every
dashboard twice over for three tenants. With fewer than there are, the oldest is always the next that is asked for."""

LONGEST = 16_384
"""Characters: what is longer (in SQL Lab, or many regions chosen) is parsed each time, not kept."""

MOST_TEMPLATES = 1024
"""How many compiled templates are kept, at a few kilobytes each: more than there are datasets."""


class Kept:
    """What is known of one statement of a script. Its tree is not kept: it is thirty times as large, and rarely wanted.

    The first who asks gets the tree that was parsed; of those who come later, who wants one has it parsed again.
    """

    def __init__(self, statement: SQLStatement, again: Callable[[], SQLStatement]) -> None:
        self.attributes = {name: value for name, value in vars(statement).items() if name != "_parsed"}
        self.tables = frozenset(statement.tables)
        self.answers: dict[object, Any] = {}
        self.fresh = [statement]
        self.again = again


class Own(SQLStatement):
    """A statement that says what is known of its text, until somebody asks for the tree: then it judges the tree.

    Superset changes trees in place, to add limits and rules. Whoever takes the tree may be about to, so each way to it
    ends what is known: also one that a later Superset adds.
    """

    def __init__(self, kept: Kept) -> None:
        # Not Superset's own: it would parse, or look for the tables again.
        self.__dict__.update(kept.attributes)
        self.tables = set(kept.tables)
        self._kept = kept
        self._tree: Any = None
        self._whole: SQLStatement | None = None
        with suppress(IndexError):  # the next who asks may be a thread that asks at the same time
            self._whole = kept.fresh.pop()

    @property
    def _parsed(self) -> Any:
        if self._tree is None:
            self._tree = self._untouched()._parsed
        return self._tree

    @_parsed.setter
    def _parsed(self, tree: Any) -> None:
        self._tree = tree

    def _untouched(self) -> SQLStatement:
        """The statement as it was parsed, this caller's own."""
        self._whole = self._whole or self._kept.again()
        return self._whole

    def _known(self, question: object, answer: Callable[[SQLStatement], Any]) -> Any:
        """The ``answer`` to a question about the text, worked out once for all callers."""
        answers = self._kept.answers
        if question not in answers:
            answers[question] = answer(self._untouched())
        return answers[question]

    def format(self, comments: bool = True) -> str:
        """As Superset's."""
        if self._tree is not None:
            return str(super().format(comments))
        return str(self._known(("written out", comments), lambda whole: whole.format(comments)))

    def is_mutating(self) -> bool:
        """As Superset's."""
        if self._tree is not None:
            return bool(super().is_mutating())
        return bool(self._known("changes data", lambda whole: whole.is_mutating()))

    def apply_rls(
        self, catalog: str | None, schema: str | None, predicates: Mapping[Any, list[Any]], method: Any
    ) -> None:
        """As Superset's, which copies the tree also where no table has a rule."""
        if any(predicates.values()):
            super().apply_rls(catalog, schema, predicates, method)


def remembered(split: Callable[[str, str], list[SQLStatement]]) -> Callable[[type, str, str], list[SQLStatement]]:
    """``split`` (SQL and Superset's name of the engine to statements) as a class's method that parses a text once.

    Each caller has statements of its own, or an error of its own: every chart has its dataset's template parsed for a
    key of its cache before it is rendered, which it does not do for SQL.
    """

    def again(script: str, engine: str, at: int) -> SQLStatement:
        return split(script, engine)[at]

    @lru_cache(MOST_STATEMENTS)
    def kept(script: str, engine: str) -> list[Kept] | SupersetParseError:
        try:
            statements = split(script, engine)
        except SupersetParseError as error:
            return copy(error)  # which does not hold what was read, as its cause does
        return [Kept(statement, partial(again, script, engine, at)) for at, statement in enumerate(statements)]

    def split_script(_cls: type, script: str, engine: str) -> list[SQLStatement]:
        if len(script) > LONGEST:
            return split(script, engine)
        # Superset asks for a dataset's SQL with and without a line's end.
        known = kept(script.rstrip(), engine)
        if isinstance(known, SupersetParseError):
            raise copy(known)
        return [Own(each) for each in known]

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
