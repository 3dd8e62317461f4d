"""Which rows of the lake are the events, and which only say the same again."""

from pyspark.sql import Column, DataFrame, Window, WindowSpec
from pyspark.sql import functions as F

IDENTITY = ("tenant", "minute", "event_id")
"""One event: the id comes with the event's own time, so a resent one falls into the same minute."""


def judged(rows: DataFrame) -> DataFrame:
    """``rows`` (of one type, with ``minute``), with booleans ``winner``, ``duplicate``, ``collision`` and ``copy``.

    The winner is the least (received_at, collector_id, sequence). With its content a row is a duplicate, and a copy too
    when it is the very same arrival once more; with other content it is a collision. Depends on the set of rows only.
    """
    arrival = Window.partitionBy(*IDENTITY).orderBy("received_at", "collector_id", "sequence", "content_hash")
    placed = rows.select(
        "*",
        (F.row_number().over(arrival) == 1).alias("winner"),
        # Ordered, so the frame begins at the winner.
        (F.first("content_hash").over(arrival) == F.col("content_hash")).alias("_same"),
        _as_before(arrival, "collector_id", "sequence").alias("_again"),
    )
    loser = ~F.col("winner")
    return placed.select(
        "*",
        (loser & F.col("_same")).alias("duplicate"),
        (loser & ~F.col("_same")).alias("collision"),
        (loser & F.col("_same") & F.col("_again")).alias("copy"),
    ).drop("_same", "_again")


def _as_before(window: WindowSpec, *columns: str) -> Column:
    """Whether the row before has the same values: equal arrivals sort next to one another."""
    same = F.lit(True)
    for name in columns:
        same = same & (F.lag(name).over(window) == F.col(name))
    return F.coalesce(same, F.lit(False))
