"""The catalog has lost a table that the bucket has: nothing is made over it."""

import shutil
from pathlib import Path
from unittest.mock import create_autospec

import pyarrow as pa
import pytest
from pydantic import SecretStr
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import NoSuchTableError

from collector.lake import CatalogLost, ensure_table
from collector.lake_metadata import Bucket
from collector.land_commit import State, commit
from collector.land_events import EventDecoder
from collector.land_rejects import Rejects
from collector.land_settings import LanderSettings
from collector.land_status import Servers
from collector.land_table import TableLander
from collector.land_topic import Brokers, TopicInfo
from contracts.model import Contract
from contracts.registry import Registry
from tests.unit.lander.lake_kit import SPEC, AtRest, Open, land, landed


def test_no_table_is_made_over_one_that_the_catalog_has_lost(reopened: Open, tmp_path: Path) -> None:
    newest = land(reopened(), 2)
    (tmp_path / "catalog.db").unlink()
    catalog = reopened()
    with pytest.raises(CatalogLost, match="watershed lake recover") as refused:
        ensure_table(catalog, SPEC)
    assert newest.metadata_location in str(refused.value)
    with pytest.raises(NoSuchTableError):
        catalog.load_table(SPEC.identifier)
    shutil.move(tmp_path / "lake" / "events" / "test", tmp_path / "away")
    land(catalog)
    assert landed(catalog) == [1]


def test_a_lander_stops_at_a_table_that_the_catalog_has_lost(reopened: Open, tmp_path: Path) -> None:
    contract = Registry.load().newest("page_view")
    table = ensure_table(reopened(), contract)
    base = State.of(table.properties)
    commit(reopened(), table, pa.table({}), base, base.moved("topic", {0: 1}))
    (tmp_path / "catalog.db").unlink()
    lander = landing(contract, reopened())
    lander.run()
    assert lander.status.phase == "stopped"
    assert "`watershed lake recover` puts it back" in (lander.not_ready or "")


def landing(contract: Contract, catalog: SqlCatalog) -> TableLander:
    """A lander that ends where others wait for somebody to decide."""

    class Ended(AtRest):
        def __init__(self) -> None:
            super().__init__()
            self.session = 1

        def unlock(self, table: str) -> None:
            lander.stop()

    topic = TopicInfo("topic", frozenset({0}))
    brokers = create_autospec(Brokers, instance=True)
    brokers.describe_one.return_value = topic
    settings = LanderSettings(
        kafka_bootstrap_servers="nowhere:1", s3_endpoint="http://nowhere", aws_access_key_id="a",
        aws_secret_access_key=SecretStr("s"), lake_warehouse="s3://lake", lake_catalog_uri=SecretStr("sqlite://"),
        lander_dsn=SecretStr("postgresql://nowhere"), visitor_hash_key=SecretStr("k" * 32),
    )  # fmt: skip
    servers = Servers(lambda: catalog, brokers, Ended(), create_autospec(Rejects, instance=True))
    lander = TableLander(contract.topic, lambda: EventDecoder(contract, b"k" * 32), servers, settings)
    return lander


def test_what_was_made_and_never_committed_to_is_made_again(reopened: Open, tmp_path: Path) -> None:
    """Of two who make a table at once, one leaves such a file; so does one that is killed before the catalog knows."""
    ensure_table(reopened(), SPEC)
    (tmp_path / "catalog.db").unlink()
    catalog = reopened()
    assert Bucket(catalog).tables() == []
    land(catalog)
    assert landed(catalog) == [1]


def test_another_who_makes_the_table_meanwhile_and_lands_is_no_loss(
    catalog: SqlCatalog, reopened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = Bucket.commits
    others = iter([lambda: land(reopened())])

    def late(self: Bucket, identifier: str) -> list[str]:
        next(others, lambda: None)()
        return commits(self, identifier)

    monkeypatch.setattr(Bucket, "commits", late)
    ensure_table(catalog, SPEC)
    assert landed(catalog) == [1]
