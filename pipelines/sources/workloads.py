"""Workload intervals in the plain form: who ran where, from when to when, on which GPUs.

Belongs here: the columns and spellings of an interval file. Does not: Slurm and MLflow (their own kinds), attribution (dbt).
"""

from __future__ import annotations

from pipelines.ingestion.file_source import Converted, FileSource, Incoming
from pipelines.ingestion.records import Records, json_of, land_records, open_records, text_list
from pipelines.ingestion.tabular import literal
from pipelines.landing import Staging
from pipelines.source import Column, RawTable

INTERVALS = RawTable(
    "intervals",
    "One run attempt or endpoint replica on one host: start, end, GPUs and labels.",
    (
        Column("workload_type", "VARCHAR", "training_run, endpoint, notebook or job."),
        Column("workload_id", "VARCHAR", "The run's id or the endpoint's name."),
        Column("attempt_id", "VARCHAR", "The attempt or replica, where there are several."),
        Column("started_at", "TIMESTAMP", "Start, UTC."),
        Column("ended_at", "TIMESTAMP", "End, UTC; NULL while it runs."),
        Column("state", "VARCHAR", "How it ended, in the scheduler's words."),
        Column("hostname", "VARCHAR", "The machine."),
        Column("gpu_ids", "JSON", "JSON array of text: GPU uuids, indexes or PCI bus ids on that machine."),
        Column("gpu_count", "DOUBLE", "Number of GPUs; a fraction where a GPU is shared (0.25)."),
        Column("vcpus", "DOUBLE", "Virtual CPUs requested."),
        Column("memory_gib", "DOUBLE", "Memory requested, GiB."),
        Column("parent_workload_id", "VARCHAR", "The run of which this one is a part (a sweep, a pipeline)."),
        Column("namespace", "VARCHAR", "Kubernetes namespace."),
        Column("pod", "VARCHAR", "Kubernetes pod."),
        Column("pod_uid", "VARCHAR", "Kubernetes pod uid."),
        Column("hpc_job", "VARCHAR", "The job id that telemetry carries as hpc_job."),
        Column("labels", "JSON", "JSON object of labels."),
    ),
)

ALIASES = {
    "started_at": ("started_at", "start", "start_time"),
    "ended_at": ("ended_at", "end", "end_time"),
    "hostname": ("hostname", "host", "node"),
}
LABEL = "label_"


class Workloads(FileSource):
    """A file (CSV, JSON, Parquet) of workload intervals."""

    kind = "workloads"
    description = "Workload intervals: run attempts and endpoint replicas with start, end and GPUs."
    tables = (INTERVALS,)
    formats = ("csv", "tsv", "json", "parquet")

    def convert(self, incoming: Incoming, staging: Staging) -> Converted:
        """One interval file. A row without an end is still running and touches every later day."""
        with open_records(incoming) as records:
            records.require([("workload_id",), ALIASES["started_at"], (*ALIASES["hostname"], "pod")], incoming.where)
            end, labels = records.text(*ALIASES["ended_at"]), records.text("labels")
            expressions = {"gpu_ids": text_list(records.text("gpu_ids")), "labels": _labels(records)}
            records.con.execute(f"CREATE TABLE ends AS SELECT _row FROM records WHERE {end} IS NOT NULL")  # noqa: S608
            return land_records(
                records,
                incoming,
                staging,
                INTERVALS,
                aliases=ALIASES,
                expressions=expressions,
                given={"gpu_ids": (records.text("gpu_ids"), expressions["gpu_ids"]), "labels": (labels, json_of(labels, "OBJECT"))},
                unusable={
                    "no workload_id": "workload_id IS NULL",
                    "no start, or its time cannot be read": "started_at IS NULL",
                    "its end cannot be read": "ended_at IS NULL AND _row IN (SELECT _row FROM ends)",
                    "neither hostname nor pod": "hostname IS NULL AND pod IS NULL",
                    "ends before it starts": "ended_at < started_at",
                    "gpu_count is negative": "gpu_count < 0",
                    "vcpus or memory_gib is negative": "vcpus < 0 OR memory_gib < 0",
                },
                span=("started_at", "ended_at"),
            )


def _labels(records: Records) -> str:
    """SQL: the ``labels`` object with the columns ``label_<key>`` merged in; NULL where there is neither."""
    names = [n for n in records.names if n.strip().lower().startswith(LABEL) and len(n.strip()) > len(LABEL)]
    own = json_of(records.text("labels"), "OBJECT")
    if not names:
        return own
    pairs = ", ".join(f"{{'key': {literal(n.strip()[len(LABEL) :])}, 'value': {records.text(n.strip())}}}" for n in names)
    extra = f"CAST(to_json(map_from_entries(list_filter([{pairs}], lambda e: e.value IS NOT NULL))) AS VARCHAR)"
    return f"nullif(CAST(json_merge_patch(coalesce({own}, '{{}}'), {extra}) AS VARCHAR), '{{}}')"
