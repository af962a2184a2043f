"""Slurm accounting: ``sacct -P --allocations --duplicates`` as text.

Belongs here: sacct's notations (local time, elapsed time, TRES, node lists). Does not: which GPU a job held (labels tell, in dbt).

Slurm prints local time without an offset. In the hour that is repeated when clocks go back, Elapsed decides which of the two a
time means; where it cannot (both ends inside, or still running), the earlier is taken and the row is counted.
"""

from __future__ import annotations

import json
from typing import ClassVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import duckdb
import pyarrow as pa
from pydantic import Field, field_validator

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.file_source import Converted, FileConfig, FileSource, Incoming, plain_file
from pipelines.ingestion.local_times import elapsed_seconds, resolve_local_times
from pipelines.ingestion.nodelist import expand_nodelist
from pipelines.ingestion.records import Records, land_records
from pipelines.ingestion.slurm_tres import MIG_TRES, allocated
from pipelines.ingestion.tabular import connect, literal
from pipelines.landing import Staging
from pipelines.source import Column, RawTable, SourceConfig

JOBS = RawTable(
    "jobs",
    "One job allocation (one attempt of a requeued job).",
    (
        Column("job_id_raw", "VARCHAR", "Numeric job id."),
        Column("job_id", "VARCHAR", "Job id as users know it (array and heterogeneous jobs)."),
        Column("job_name", "VARCHAR", "Job name."),
        Column("user_name", "VARCHAR", "User."),
        Column("account", "VARCHAR", "Slurm account."),
        Column("partition", "VARCHAR", "Partition."),
        Column("state", "VARCHAR", "State as sacct prints it, such as CANCELLED by 380693."),
        Column("started_at", "TIMESTAMP", "Start, UTC."),
        Column("ended_at", "TIMESTAMP", "End, UTC; NULL while it runs."),
        Column("elapsed_seconds", "BIGINT", "Elapsed as Slurm counts it, without suspended time."),
        Column("node_list", "JSON", "JSON array of hostnames."),
        Column(
            "gpus_total",
            "DOUBLE",
            "GPUs of the allocation over all nodes, shards and MPS shares as parts of one; NULL where it is not told.",
        ),
        Column("vcpus_total", "DOUBLE", "CPUs of the allocation."),
        Column("memory_gib_total", "DOUBLE", "Memory of the allocation, GiB."),
        Column("alloc_tres", "VARCHAR", "AllocTRES as it stands."),
        Column("comment", "VARCHAR", "Comment."),
        Column("comment_tags", "JSON", "JSON object of the key=value pairs in the comment."),
        Column("wckey", "VARCHAR", "Workload characterization key."),
    ),
)

ALIASES = {
    "job_id_raw": ("JobIDRaw",),
    "job_id": ("JobID",),
    "job_name": ("JobName",),
    "user_name": ("User",),
    "account": ("Account",),
    "partition": ("Partition",),
    "state": ("State",),
    "alloc_tres": ("AllocTRES",),
    "comment": ("Comment",),
    "wckey": ("WCKey",),
}
REQUIRED = (("JobIDRaw",), ("Start",), ("End",), ("NodeList",), ("AllocTRES",))


class SlurmConfig(FileConfig):
    """``timezone`` is the IANA zone of the cluster's controller; ``delimiter`` is sacct's."""

    timezone: str = Field(default="UTC", description="IANA time zone of the controller: sacct prints local time")
    delimiter: str = Field(default="|", description="sacct's column delimiter")
    shards_per_gpu: int | None = Field(
        default=None, gt=0, description="gres/shard of one GPU (gres.conf); without it a job's shards tell no part of a GPU"
    )
    mps_per_gpu: int = Field(default=100, gt=0, description="gres/mps of one GPU (gres.conf)")

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"not an IANA time zone: {value!r}") from error
        return value


class Slurm(FileSource):
    """Saved sacct output."""

    kind = "slurm"
    description = "Slurm job allocations from sacct."
    tables = (JOBS,)
    config_model: ClassVar[type[SourceConfig]] = SlurmConfig
    formats = ("text", "psv", "csv")
    config: SlurmConfig

    def convert(self, incoming: Incoming, staging: Staging) -> Converted:
        """One saved output. sacct quotes nothing: a line is cut at every delimiter, and one that does not fit the header is counted."""
        with connect(incoming.work) as con:
            records = self._records(con, incoming)
            records.require(REQUIRED, incoming.where)
            zone = self.config.timezone
            elapsed = elapsed_seconds(records.text("Elapsed"))
            resolve_local_times(con, zone, records.text("Start"), records.text("End"), elapsed)
            _expand_node_lists(records)
            tres = records.text("AllocTRES")
            listed = f"SELECT _row FROM records WHERE {records.text('NodeList')} <> 'None assigned'"  # noqa: S608
            expressions = {
                "started_at": "(SELECT t.s FROM times t WHERE t._row = records._row)",
                "ended_at": "(SELECT t.e FROM times t WHERE t._row = records._row)",
                "elapsed_seconds": elapsed,
                "node_list": f"(SELECT n.hosts FROM hosts n WHERE n.list = {records.text('NodeList')})",  # noqa: S608
                **allocated(tres, self.config.shards_per_gpu, self.config.mps_per_gpu),
                "comment_tags": _pairs(records.text("Comment")),
            }
            return land_records(
                records,
                incoming,
                staging,
                JOBS,
                aliases=ALIASES,
                expressions=expressions,
                given={"elapsed_seconds": (records.text("Elapsed"), expressions["elapsed_seconds"])},
                unusable={
                    "not as many fields as the header (a delimiter or line break inside a field)": "_row IN (SELECT _row FROM misfits)",
                    "no JobIDRaw": "job_id_raw IS NULL",
                    "a job step: its job's own row tells its time": "contains(job_id_raw, '.')",
                    "not started": "_row IN (SELECT _row FROM times WHERE pending)",
                    f"a time cannot be read, or does not exist in {zone}": "_row IN (SELECT _row FROM times WHERE unreadable)",
                    "ends before it starts": "ended_at < started_at",
                    "node list cannot be read": f"node_list IS NULL AND _row IN ({listed})",
                },
                notes={
                    f"a time in the repeated hour of {zone} that Elapsed cannot tell: the earlier is taken": (
                        "_row IN (SELECT _row FROM times WHERE ambiguous)"
                    ),
                    "gres/shard without shards_per_gpu in the settings: only labels place the job": (
                        f"{self.config.shards_per_gpu is None} AND gpus_total IS NULL AND alloc_tres LIKE '%gres/shard%'"
                    ),
                    "MIG instances, which are no GPUs: only labels place the job": f"regexp_matches(alloc_tres, {literal(MIG_TRES)})",
                },
                span=("started_at", "ended_at"),
            )

    def _records(self, con: duckdb.DuckDBPyConnection, incoming: Incoming) -> Records:
        content = plain_file(incoming).read_bytes()
        try:
            lines = [line.rstrip("\r") for line in content.decode("utf-8-sig").split("\n")]
        except UnicodeDecodeError as error:
            line = content[: error.start].count(b"\n") + 1
            raise DeliveryRefused(
                "invalid UTF-8", where=f"{incoming.where}: line {line}", remedy="run sacct under a UTF-8 locale"
            ) from error
        delimiter = self.config.delimiter
        header = lines[0].removesuffix(delimiter).split(delimiter) if lines else []
        con.register("lines", pa.table({"line": pa.array(lines[1:], pa.string())}))
        cut = "line"
        if lines[0].endswith(delimiter):  # sacct -p
            cut = f"CASE WHEN suffix(line, {literal(delimiter)}) THEN left(line, -{len(delimiter)}) ELSE line END"
        split = f"string_split({cut}, {literal(delimiter)})"
        con.execute(f"CREATE TABLE records AS SELECT {split} AS f, row_number() OVER () AS _row FROM lines WHERE line <> ''")  # noqa: S608
        con.execute("CREATE TABLE misfits AS SELECT _row FROM records WHERE len(f) <> ?", [len(header)])
        columns: dict[str, list[str]] = {}
        for number, name in enumerate(header, start=1):
            columns.setdefault(name.strip().lower(), []).append(f"f[{number}]")
        return Records(con, columns, header)


def _pairs(comment: str) -> str:
    """SQL: the ``key=value`` pairs of a comment as a JSON object; the first of a key counts; NULL where there is none."""
    keys, values = (f"regexp_extract_all({comment}, '(?:^|[,; ])([A-Za-z][A-Za-z0-9_.-]*)=([^,; ]+)', {n})" for n in (1, 2))
    firsts = f"list_filter(list_zip({keys}, {values}), lambda p, i: list_position({keys}, p[1]) = i)"
    return f"CASE WHEN len({keys}) > 0 THEN CAST(to_json(map_from_entries({firsts})) AS VARCHAR) END"


def _expand_node_lists(records: Records) -> None:
    """Table ``hosts``: each distinct node list with its JSON array of names; lists that cannot be read are absent."""
    con = records.con
    found: dict[str, list[str]] = {"list": [], "hosts": []}
    for (text,) in con.execute(f"SELECT DISTINCT {records.text('NodeList')} AS x FROM records WHERE x IS NOT NULL ORDER BY x").fetchall():  # noqa: S608
        try:
            names = expand_nodelist(text) if text != "None assigned" else []
        except ValueError:
            continue
        if names:
            found["list"].append(text)
            found["hosts"].append(json.dumps(names, separators=(",", ":")))
    con.register("hosts_arrow", pa.table(found, pa.schema([("list", pa.string()), ("hosts", pa.string())])))
    con.execute("CREATE TABLE hosts AS SELECT * FROM hosts_arrow")
