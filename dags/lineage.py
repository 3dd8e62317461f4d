"""What a task read and wrote, in OpenLineage's words; and what dbt did within it, model by model.

OpenLineage's listener calls this when a task has ended, in a thread that it waits for within bounds, and takes no
notice of what goes wrong in it: nothing here can fail or hold up a task. The names of datasets are as OpenLineage's
naming rules have them, so that the task that writes a table and dbt, which reads it, mean the same one.
"""

import logging
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attr
from airflow.providers.openlineage.extractors import OperatorLineage
from airflow.providers.openlineage.plugins import macros
from airflow.providers.openlineage.plugins.listener import get_openlineage_listener
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import Dataset, InputDataset, OutputDataset
from openlineage.client.naming.dataset import S3, DatasetNaming, Postgres
from openlineage.common.provider.dbt.facets import ParentRunMetadata
from openlineage.common.provider.dbt.local import DbtLocalArtifactProcessor
from openlineage.common.provider.dbt.processor import ModelNode
from openlineage.common.provider.dbt.utils import PRODUCER

LAKE = "lake."
"""What names of the lake's tables begin with, as in Spark; all others are the warehouse's."""

log = logging.getLogger("watershed")


def of_result(result: Mapping[str, Any], environ: Mapping[str, str] = os.environ) -> OperatorLineage[Dataset, Any]:
    """The datasets that a command's result names, as ``reads`` and ``writes``; none where it names none.

    ``environ`` says where they are: ``LINEAGE_LAKE`` (``s3://bucket/path``) and ``LINEAGE_WAREHOUSE``
    (``postgres://host:port/database``).
    """
    read = [naming(name, environ) for name in result.get("reads", ())]
    written = [naming(name, environ) for name in result.get("writes", ())]
    return OperatorLineage(
        inputs=[InputDataset(each.get_namespace(), each.get_name()) for each in read],
        outputs=[OutputDataset(each.get_namespace(), each.get_name()) for each in written],
    )


def naming(name: str, environ: Mapping[str, str]) -> DatasetNaming:
    """Where ``lake.<namespace>.<table>`` or ``<schema>.<table>`` is.

    A table of the lake is named by its folder, as OpenLineage's integration for Spark names Iceberg's tables.
    """
    if name.startswith(LAKE):
        lake = urlsplit(environ["LINEAGE_LAKE"])
        folder = name.removeprefix(LAKE).replace(".", "/")
        return S3(lake.netloc, f"{lake.path.strip('/')}/{folder}".lstrip("/"))
    warehouse = urlsplit(environ["LINEAGE_WAREHOUSE"])
    schema, table = name.split(".")
    return Postgres(str(warehouse.hostname), str(warehouse.port), warehouse.path.strip("/"), schema, table)


def parent(task_instance: Any) -> ParentRunMetadata:
    """The task, as the parent of what ran within it."""
    return ParentRunMetadata(
        run_id=macros.lineage_run_id(task_instance),
        job_name=macros.lineage_job_name(task_instance),
        job_namespace=macros.lineage_job_namespace(),
        root_parent_run_id=macros.lineage_root_run_id(task_instance),
        root_parent_job_name=macros.lineage_root_job_name(task_instance),
        root_parent_job_namespace=macros.lineage_root_job_namespace(task_instance),
    )


def of_dbt(artifacts: Path, project: Path, above: ParentRunMetadata) -> list[Any]:
    """The events of a dbt run, a start and an end for each model, from what was written into ``artifacts``.

    ``manifest.json`` is that of the project, ``run_results.json`` this run's; none when dbt did not get to run. What a
    model reads and writes, with every column, its end says: told at the start too it would be as much again.
    """
    if not (artifacts / "run_results.json").exists():
        return []
    processor = DbtLocalArtifactProcessor(
        project_dir=str(project), target_path=str(artifacts), producer=PRODUCER, job_namespace=above.job_namespace
    )
    processor.dbt_run_metadata = above
    told = processor.parse()
    for end in told.completes:
        end.inputs.extend(_behind_views(processor, end.job.facets["dbt_node"].unique_id))
    return [*(attr.evolve(start, inputs=[], outputs=[]) for start in told.starts), *told.completes, *told.fails]


def _behind_views(processor: DbtLocalArtifactProcessor, model: str) -> list[Dataset]:
    """What a model reads through views, which most runs do not build anew and then say nothing of themselves."""
    manifest = processor.manifest
    known = {**manifest["nodes"], **manifest["sources"]}
    found = {}
    waiting = list(manifest["parent_map"][model])
    while waiting:
        above = waiting.pop()
        if known[above].get("config", {}).get("materialized") == "view":
            for each in manifest["parent_map"][above]:
                found[each] = ModelNode(each.split(".", 1)[0], known[each])
                waiting.append(each)
    return [processor.node_to_dataset(each) for each in found.values()]


def send(events: Iterable[Any], client: OpenLineageClient | None = None) -> None:
    """Send events until one cannot be: where an endpoint does not answer, each of the others would wait for it too.

    ``client``: instead of the one that Airflow's configuration describes.
    """
    client = client or get_openlineage_listener().adapter.get_or_create_openlineage_client()
    for event in events:
        try:
            client.emit(event)
        except Exception as error:
            log.warning("lineage of the dbt run is incomplete: %s", error)
            return
