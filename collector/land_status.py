"""What a table's lander talks to, how it tells others how it is, and which troubles pass by themselves."""

from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Literal

from confluent_kafka import KafkaException
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException
from sqlalchemy.exc import SQLAlchemyError

from collector.land_commit import State
from collector.land_db import Database, DatabaseAway
from collector.land_rejects import NotDurable, Rejects
from collector.land_topic import Brokers, TopicInfo, TopicMissing

Phase = Literal["starting", "standby", "landing", "stopped"]
TROUBLE = (
    OSError,  # S3, as pyarrow reports it
    SQLAlchemyError,
    DatabaseAway,
    KafkaException,
    FutureTimeoutError,
    TopicMissing,
    NotDurable,
    CommitFailedException,
)
"""What passes by itself: the servers are away, slow or busy."""


class OtherTopic(Exception):
    """The topic is not the one whose offsets the table holds: it was deleted and made anew."""


@dataclass(frozen=True)
class Servers:
    """What a lander talks to."""

    catalog: Callable[[], SqlCatalog]
    brokers: Brokers
    database: Database
    rejects: Rejects


@dataclass(frozen=True)
class Status:
    """A lander's state as others see it. ``landed``: the next offset by partition, all before it is in the table."""

    phase: Phase = "starting"
    trouble: str | None = None
    paused: str | None = None
    session: int = -1
    info: TopicInfo | None = None
    landed: State | None = None

    @property
    def not_ready(self) -> str | None:
        """Why this table is not being landed as it should."""
        return self.trouble or self.paused or ("starting" if self.phase == "starting" else None)
