"""Files through the real commands and a real collector: each row once, bad ones among the rejects with their line."""

import json
from pathlib import Path

from tests.integration.collector.harness import Broker, CollectorProcess

HEAD = "when,page,land"
ROWS = (
    "2026-11-01T10:00:00Z,/a,DE",
    "2026-11-01T10:00:00Z,/a,DE",
    "2026-11-02T10:00:00Z,/b,Germany",
    "2026-11-03,/c,AT",
)


def test_a_file_imported_twice_is_the_same_events_and_bad_rows_keep_their_line(
    broker: Broker, collector: CollectorProcess, tmp_path: Path
) -> None:
    collector.start()
    views, rejects = broker.ends("events.page_view"), broker.ends("rejected_events")
    file = tmp_path / "history.csv"
    file.write_text("\n".join((HEAD, *ROWS)) + "\n")
    words = ("import", str(file), "--type", "page_view", "--map", "when=occurred_at", "--map", "page=page_name")
    for _ in range(2):
        done = json.loads(collector.watershed(*words, "--map", "land=region", "--json").splitlines()[-1])
        assert (done["rows"], done["accepted"], done["rejected"], done["bad"]) == (4, 3, 0, 1)
        assert done["first_bad"][0]["number"] == 4
    sent = broker.read("events.page_view", views)
    assert len(sent) == 6
    assert len({m["event_id"] for m in sent}) == 3
    assert sorted(m["data"]["page_name"] for m in sent) == ["/a"] * 4 + ["/c"] * 2
    bad = broker.read("rejected_events", rejects)
    assert [m["line"] for m in bad] == [4, 4]
    assert "Germany" in str(bad[0])


def test_events_of_a_file_are_sent_as_they_are(broker: Broker, collector: CollectorProcess, tmp_path: Path) -> None:
    collector.start()
    since = broker.ends("events.page_view")
    file = tmp_path / "events.ndjson"
    event = {"event_type": "page_view", "data": {"region": "DE", "page_name": "/sent"}}
    file.write_text(json.dumps(event) + "\nno event\n")
    done = json.loads(collector.watershed("send", str(file), "--spool", str(tmp_path / "spool"), "--json"))
    assert (done["sent"], done["accepted"], done["rejected"], done["spooled"]) == (2, 1, 1, 0)
    (message,) = broker.read("events.page_view", since)
    assert message["minted"] is False, "the sender gave it its id"
