"""A decision that only a person takes: a stopped table goes on from the topic as it is now."""

from dataclasses import replace

import pyarrow as pa

from collector.lake import TableSpec, ensure_table, open_catalog
from collector.land_commit import State, commit
from collector.land_settings import LanderSettings
from collector.land_topic import Brokers


def adopt(settings: LanderSettings, topic: str, spec: TableSpec) -> State:
    """Move the table's state to the topic's present id and to the first messages it has, unless they are already past.

    An empty append like every move of an offset, so a lander at work is fenced off and not overtaken.

    :raises collector.land_topic.TopicMissing: there is no such topic.
    :raises collector.land_commit.Fenced: a lander is landing this very table: there is nothing to decide.
    """
    catalog, brokers = open_catalog(settings), Brokers(settings.librdkafka())
    table = ensure_table(catalog, spec)
    base, info = State.of(table.properties), brokers.describe_one(topic)
    begins = brokers.begin_offsets(topic, info.partitions)
    if base.topic_id == info.id:
        begins = {p: max(begin, base.offsets.get(p, 0)) for p, begin in begins.items()}
    # A partition that the new topic lacks must not keep an old offset: it would be waited for, for ever.
    after = replace(base.moved(info.id, begins), offsets=begins)
    commit(catalog, table, pa.table({}), base, after)
    return after
