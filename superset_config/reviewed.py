"""What is reviewed stays told apart from what people make: by a mark that the bootstrap alone sets and takes away.

Superset calls the mark ``is_managed_externally`` and takes it from anybody who may write: in the body of a POST or PUT,
in an imported file. Here it means "from the repository's files, so for every tenant" (``security.py``), and "the next
bootstrap deletes it, unless there is still a file of it" (``apply.py``). So whatever a person says of it is undone as
it is written to Superset's tables, by whichever of Superset's ways it comes there.
"""

import logging
from typing import Any, Final

from sqlalchemy import event, inspect, select
from sqlalchemy.orm import Session

from superset_config.own_work import is_own_work

MARK: Final = "is_managed_externally"
LOG = logging.getLogger(__name__)


def keep_marks(session: Session, _context: object, _instances: object) -> None:
    """Undo what anybody but a program of ours says of the mark; SQLAlchemy's ``before_flush``."""
    if is_own_work():
        return
    for made in session.new:
        if getattr(made, MARK, False) is not False:
            _put_back(made, False)
    for changed in session.dirty:
        if hasattr(changed, MARK) and inspect(changed).attrs[MARK].history.has_changes():
            _put_back(changed, _stored(session, changed))


def _stored(session: Session, thing: Any) -> bool:
    """The mark as the table has it: SQLAlchemy knows no older value of what it had not loaded."""
    table = type(thing).__table__
    return bool(session.connection().execute(select(table.c[MARK]).where(table.c.id == thing.id)).scalar())


def _put_back(thing: Any, mark: bool) -> None:
    if bool(getattr(thing, MARK)) != mark:
        LOG.warning("%s: only the bootstrap says what is reviewed; it stays %s", repr(thing)[:100], mark)
    setattr(thing, MARK, mark)


def guard_marks() -> None:
    """Have every session of Superset's database keep the marks."""
    from superset import db  # noqa: PLC0415

    event.listen(db.session, "before_flush", keep_marks)
