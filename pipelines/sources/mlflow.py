"""MLflow runs: what a run is called, who owns it, and its tags.

Belongs here: the shapes MLflow exports runs in. Does not: which GPUs a run held (MLflow does not know).

A crashed run stays RUNNING without an end for ever: that is what MLflow says, and it is kept as it is.
"""

from __future__ import annotations

from pipelines.ingestion.file_source import Converted, FileSource, Incoming
from pipelines.ingestion.records import Records, land_records, open_records, utc
from pipelines.ingestion.tabular import literal
from pipelines.landing import Staging
from pipelines.source import Column, RawTable

RUNS = RawTable(
    "runs",
    "One MLflow run.",
    (
        Column("run_id", "VARCHAR", "Run id."),
        Column("run_name", "VARCHAR", "Run name."),
        Column("experiment_id", "VARCHAR", "Experiment id."),
        Column("status", "VARCHAR", "RUNNING, SCHEDULED, FINISHED, FAILED or KILLED."),
        Column("started_at", "TIMESTAMP", "Start, UTC."),
        Column("ended_at", "TIMESTAMP", "End, UTC; NULL while MLflow knows none."),
        Column("tags", "JSON", "JSON object of the run's tags."),
        Column("parent_run_id", "VARCHAR", "The run this one is nested in."),
    ),
)

TAG = "tags."
_PAIRS = '\'[{"key":"VARCHAR","value":"VARCHAR"}]\''


class Mlflow(FileSource):
    """Exported MLflow runs."""

    kind = "mlflow"
    description = "MLflow runs with their tags."
    tables = (RUNS,)
    formats = ("json", "csv", "tsv", "parquet")

    def convert(self, incoming: Incoming, staging: Staging) -> Converted:
        """Runs as the REST search answers them (``info``, ``data``), one a line or in ``runs``; or flat, as ``search_runs`` exports."""
        with open_records(incoming, unnest="runs") as records:
            records.require([("run_id", "info", "run_uuid"), ("start_time", "started_at", "info")], incoming.where)

            def field(*names: str) -> str:
                info = records.text("info")
                inner = [
                    f"nullif(CASE WHEN json_valid({info}) THEN json_extract_string({info}, {literal('/' + n)}) END, '')" for n in names
                ]
                return f"coalesce({', '.join([*(inner if records.has('info') else []), records.text(*names)])})"

            tags, given_tags = _tags(records)
            start, end = field("start_time", "started_at"), field("end_time", "ended_at")
            expressions = {
                "run_id": field("run_id", "run_uuid"),
                "run_name": f"coalesce({field('run_name', 'name')}, json_extract_string({tags}, '/mlflow.runName'))",
                "experiment_id": field("experiment_id"),
                "status": field("status"),
                "started_at": utc(start),
                "ended_at": utc(end),
                "tags": tags,
                "parent_run_id": f"coalesce({field('parent_run_id')}, json_extract_string({tags}, '/mlflow.parentRunId'))",
            }
            return land_records(
                records,
                incoming,
                staging,
                RUNS,
                aliases={},
                expressions=expressions,
                given={"ended_at": (end, utc(end)), "tags": (given_tags, tags)},
                unusable={
                    "no run_id": "run_id IS NULL",
                    "no start, or its time cannot be read": "started_at IS NULL",
                    "ends before it starts": "ended_at < started_at",
                },
                span=("started_at", "ended_at"),
            )


def _tags(records: Records) -> tuple[str, str]:
    """SQL: (the tags as a JSON object, the text they are read from)."""
    data = records.text("data")
    nested = f"CASE WHEN json_valid({data}) THEN CAST(json_extract({data}, '/tags') AS VARCHAR) END"
    text = f"coalesce({nested if records.has('data') else 'NULL'}, {records.text('tags')})"
    pairs = f"CAST(to_json(map_from_entries(from_json({text}, {_PAIRS}))) AS VARCHAR)"
    own = f"CASE WHEN json_valid({text}) THEN CASE json_type({text}) WHEN 'ARRAY' THEN TRY({pairs}) WHEN 'OBJECT' THEN {text} END END"
    flat = [n for n in records.names if n.lower().startswith(TAG) and len(n) > len(TAG)]
    if not flat:
        return own, text
    entries = ", ".join(f"{{'key': {literal(n[len(TAG) :])}, 'value': {records.text(n)}}}" for n in flat)
    extra = f"CAST(to_json(map_from_entries(list_filter([{entries}], lambda e: e.value IS NOT NULL))) AS VARCHAR)"
    return f"CAST(json_merge_patch(coalesce({own}, '{{}}'), {extra}) AS VARCHAR)", text
