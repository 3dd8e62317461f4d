"""What a sender was told is known after its own death too."""

from datetime import UTC, datetime
from pathlib import Path

from tests.faults.events import Sort, sort_of
from tests.faults.journal import Answer, Journal, Sending, read
from tests.faults.sends import Sends

AT = datetime(2026, 3, 1, 12, 0, 59, 999000, tzinfo=UTC)
TAKEN, UNKNOWN, REFUSED = Answer.TAKEN, Answer.UNKNOWN, Answer.REFUSED


def test_what_was_written_is_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    for first, answer in ((0, TAKEN), (2, REFUSED), (4, UNKNOWN)):
        journal.sending(first, 2, AT)
        journal.answered(first, answer, "200 or\nwhatever")
    journal.close()
    known = read(tmp_path / "journal")
    assert known.sendings == [Sending(0, 2, AT, answer=TAKEN), Sending(2, 2, AT, answer=REFUSED), Sending(4, 2, AT)]
    assert known.sent == 6
    assert known.why == {"200 or whatever": 2}


def test_a_request_without_an_answer_is_unknown(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.sending(2, 2, AT)
    sends = Sends(read(tmp_path / "journal"))
    assert list(sends.unknown) == [0, 0, 1, 1]
    assert list(sends.taken) == [0, 0, 0, 0]


def test_a_batch_that_is_sent_again_has_each_of_its_answers_and_is_one(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    for again, answer in ((False, UNKNOWN), (True, UNKNOWN), (True, TAKEN)):
        journal.sending(0, 40, AT, again=again)
        journal.answered(0, answer)
    known = read(tmp_path / "journal")
    sends = Sends(known)
    assert known.sent == 40
    for number in range(40):
        nameless = sort_of(number) is Sort.NAMELESS
        assert (sends.unknown[number], sends.taken[number]) == ((1, 0) if nameless else (2, 1))


def test_a_line_that_a_kill_cut_short_says_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.sending(0, 2, AT)
    journal.answered(0, TAKEN, "200")
    whole = journal.path.read_bytes()
    for cut in range(len(whole.splitlines(keepends=True)[0]), len(whole)):
        journal.path.write_bytes(whole[:cut])
        assert read(journal.path).sendings == [Sending(0, 2, AT)]
