"""What ``benchmarks.dashboards`` says of what it measured."""

import pytest

from benchmarks.dashboards import Seconds, main, slowest, summed_up

MEASURED = Seconds(
    superset={"a/quick": [0.1] * 38, "a/slow": [0.5, 0.9]},
    postgres={"a/quick": [0.01] * 38, "a/slow": [0.3, 0.4]},
)


def test_five_of_a_hundred_queries_may_take_longer() -> None:
    row = summed_up("A", MEASURED)
    assert (row.charts, row.queries, row.p50, row.p95, row.slowest) == (2, 40, 0.1, 0.5, 0.9)
    assert (row.slowest_chart, row.postgres_p95) == ("a/slow", 0.3)


def test_the_slowest_charts_come_with_what_their_sql_takes_alone() -> None:
    assert [line.split()[0] for line in slowest(MEASURED, 2)] == ["a/slow", "a/quick"]
    assert list(slowest(MEASURED, 1)) == [f"{'a/slow':<40} 0.700 s, of which the SQL alone takes 0.350 s\n"]


def test_a_filter_without_a_value_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--filter", "page_name"])
    assert "say COLUMN=VALUE" in capsys.readouterr().err
