"""What a sender was told is known after its own death too."""

from datetime import UTC, datetime
from pathlib import Path

from tests.faults.journal import Answer, Journal, read

AT = datetime(2026, 3, 1, 12, 0, 59, 999000, tzinfo=UTC)


def test_what_was_written_is_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    for first, answer in ((0, Answer.TAKEN), (2, Answer.REFUSED), (4, Answer.UNKNOWN)):
        journal.sending(first, 2, AT)
        journal.answered(first, answer, "200 or\nwhatever")
    journal.close()
    known = read(tmp_path / "journal")
    assert list(known.answers) == [2, 2, 3, 3, 1, 1]
    assert (known.sent, known.count(Answer.TAKEN)) == (6, 2)
    assert known.batches[0] == (0, 2, AT)
    assert known.why == {"200 or whatever": 2}


def test_a_request_without_an_answer_is_unknown(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.sending(2, 2, AT)
    known = read(tmp_path / "journal")
    assert list(known.answers) == [Answer.NOT_SENT, Answer.NOT_SENT, Answer.UNKNOWN, Answer.UNKNOWN]
    assert known.sent == 2


def test_a_line_that_a_kill_cut_short_says_nothing(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.sending(0, 2, AT)
    journal.answered(0, Answer.TAKEN, "200")
    whole = journal.path.read_bytes()
    for cut in range(len(whole.splitlines(keepends=True)[0]), len(whole)):
        journal.path.write_bytes(whole[:cut])
        assert list(read(journal.path).answers) == [Answer.UNKNOWN] * 2


def test_events_of_a_batch_have_its_minute(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    journal.sending(0, 2, AT)
    assert list(read(journal.path).minutes()) == [(0, AT.replace(second=0, microsecond=0))] * 0 + [
        (n, datetime(2026, 3, 1, 12, tzinfo=UTC)) for n in (0, 1)
    ]
