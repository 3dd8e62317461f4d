"""The mark of what is reviewed: a program of ours sets it, and whatever a person says of it is undone on writing."""

from collections.abc import Iterator

import pytest
from sqlalchemy import Boolean, Column, Integer, String, create_engine, event
from sqlalchemy.orm import Session, declarative_base

from superset_config.own_work import is_own_work, own_work
from superset_config.reviewed import keep_marks

Base = declarative_base()


class Board(Base):  # type: ignore[misc, valid-type]
    """Like Superset's, but for what does not matter here."""

    __tablename__ = "boards"

    id = Column(Integer, primary_key=True)
    title = Column(String)
    is_managed_externally = Column(Boolean, nullable=False, default=False)


class Note(Base):  # type: ignore[misc, valid-type]
    """Something that has no mark."""

    __tablename__ = "notes"

    id = Column(Integer, primary_key=True)


@pytest.fixture
def session() -> Iterator[Session]:
    engine = create_engine("sqlite://")
    Base.metadata.create_all(engine)
    with Session(engine) as opened:
        event.listen(opened, "before_flush", keep_marks)
        yield opened
    engine.dispose()


def kept(session: Session, board: Board) -> bool:
    """The mark that the table has."""
    session.commit()
    session.expire_all()
    return bool(board.is_managed_externally)


def test_what_a_person_makes_is_not_reviewed(session: Session) -> None:
    made = [Board(title="a", is_managed_externally=True), Board(title="b", is_managed_externally=None), Board()]
    session.add_all([*made, Note()])
    assert [kept(session, board) for board in made] == [False, False, False]


@pytest.mark.parametrize("loaded", [True, False], ids=["loaded", "not loaded"])
@pytest.mark.parametrize("said", [True, None])
def test_what_a_person_made_does_not_become_reviewed(session: Session, loaded: bool, said: bool | None) -> None:
    board = Board(title="mine")
    session.add(board)
    session.commit()
    session.refresh(board) if loaded else session.expire(board)
    board.is_managed_externally = said
    board.title = "mine still"
    assert kept(session, board) is False
    assert board.title == "mine still"


def test_what_is_reviewed_stays_so(session: Session) -> None:
    with own_work():
        board = Board(title="reviewed", is_managed_externally=True)
        session.add(board)
        session.commit()
    assert kept(session, board) is True
    board.is_managed_externally = False
    assert kept(session, board) is True
    with own_work():
        board.is_managed_externally = False
        session.commit()
    assert kept(session, board) is False


def test_a_program_s_work_ends_with_it() -> None:
    with pytest.raises(ValueError, match="failed"), own_work():
        assert is_own_work()
        raise ValueError("failed")
    assert not is_own_work()
