"""Saved Kubernetes API objects as rows: lists (``kubectl get ... -o json``), JSON lines of objects, watch events.

Belongs here: unwrapping lists and events, the instant of a snapshot, Kubernetes' notation of quantities and times. Does not: what a
pod, an owner or a node says (kubernetes_pods.py, kubernetes_nodes.py), which run a pod belongs to (dbt).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import duckdb

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.exposition import page_instant_us
from pipelines.ingestion.file_source import Incoming, plain_file
from pipelines.ingestion.records import Records, utc
from pipelines.ingestion.tabular import connect, literal

MAX_OBJECT_BYTES = 256 << 20  # a list is one JSON object: 20,000 pods of 10 kB
# What may own a pod, or own its owner. Objects of other kinds (events, secrets, config maps) are left in the file.
OWNER_KINDS = (
    "CronJob", "DaemonSet", "Deployment", "InferenceService", "JAXJob", "Job", "JobSet", "LeaderWorkerSet", "MPIJob", "Notebook",
    "PaddleJob", "PyTorchJob", "RayCluster", "RayJob", "RayService", "ReplicaSet", "Revision", "StatefulSet", "TFJob", "TrainJob",
    "Workflow", "XGBoostJob",
)  # fmt: skip
EVENT_TYPES = ("ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR")


def at(*path: str) -> str:
    """SQL: the text at a path of the object; NULL where there is none."""
    return f"nullif(json_extract_string(o, {literal(_pointer(path))}), '')"


def json_at(*path: str) -> str:
    """SQL: the JSON at a path of the object."""
    return f"json_extract(o, {literal(_pointer(path))})"


def texts_at(path: str) -> str:
    """SQL: every text at a JSON path with wildcards, as a list."""
    return f"json_extract_string(o, {literal(path)})"


def label(*keys: str) -> str:
    """SQL: the first of these labels that is set."""
    return f"coalesce({', '.join(at('metadata', 'labels', key) for key in keys)}, NULL)"


def time_at(*path: str) -> str:
    """SQL: the time at a path, UTC."""
    return utc(at(*path))


def quantity(x: str) -> str:
    """SQL: a Kubernetes quantity (``500m``, ``95780m``, ``16Gi``, ``1151000Ki``, ``1e3``) as a DOUBLE; NULL where it is none.

    Suffixes as the API defines them: n u m, k M G T P E (powers of 1000), Ki Mi Gi Ti Pi Ei (powers of 1024).
    """
    parts = f"regexp_extract(trim({x}), '^([+-]?[0-9]*[.]?[0-9]+(?:[eE][+-]?[0-9]+)?)(n|u|m|k|[MGTPE]|[KMGTPE]i)?$', ['n', 's'])"
    powers = {"": "1", "n": "1e-9", "u": "1e-6", "m": "1e-3"}
    powers |= {s: f"1e{3 * (i + 1)}" for i, s in enumerate("kMGTPE")} | {f"{s}i": str(1024 ** (i + 1)) for i, s in enumerate("KMGTPE")}
    cases = " ".join(f"WHEN {literal(suffix)} THEN {power}" for suffix, power in powers.items())
    return f"(try_cast(nullif({parts}.n, '') AS DOUBLE) * CASE {parts}.s {cases} END)"


def summed(path: str) -> str:
    """SQL: the sum of all quantities at a JSON path with wildcards; NULL where there is none."""
    return f"list_sum(list_transform({texts_at(path)}, lambda v: {quantity('v')}))"


@contextmanager
def open_objects(incoming: Incoming) -> Iterator[Records]:
    """The file's objects as the table ``objects``: _row, o (JSON), kind, observed_at, event, list_row.

    list_row: the row of the first object of the same list; NULL for what did not come in a list. Raises DeliveryRefused for a file
    that is no complete JSON.
    """
    with connect(incoming.work) as con:
        path = plain_file(incoming)
        if path.stat().st_size == 0:
            raise DeliveryRefused(
                "empty file where JSON is expected", where=incoming.where, remedy="write it again; an empty list has items []"
            )
        reader = f"read_json_objects({literal(path)}, format='auto', maximum_object_size={MAX_OBJECT_BYTES})"
        instant = page_instant_us(incoming.key)
        named = "CAST(NULL AS TIMESTAMP)" if instant is None else f"make_timestamp({instant})"
        try:
            con.execute(f"CREATE TABLE documents AS SELECT json AS d, row_number() OVER () AS n FROM {reader}")  # noqa: S608
        except duckdb.Error as error:
            raise DeliveryRefused(
                f"not complete JSON: {str(error).splitlines()[0][:200]}",
                where=incoming.where,
                remedy="save `kubectl get -o json` again, or one object a line",
            ) from error
        _unwrap(con, named)
        odd = con.execute("SELECT min(_row) FROM objects WHERE coalesce(json_type(o), 'NULL') <> 'OBJECT'").fetchone()
        if odd and odd[0]:
            raise DeliveryRefused(
                "a record is not a JSON object", where=f"{incoming.where}: record {odd[0]}", remedy="write one object per record"
            )
        yield Records(con)


def choose(con: duckdb.DuckDBPyConnection, condition: str) -> None:
    """Let ``records`` be the objects for which ``condition`` holds, with their row numbers in the file."""
    con.execute(f"CREATE OR REPLACE VIEW records AS SELECT * FROM objects WHERE {condition}")  # noqa: S608


def _unwrap(con: duckdb.DuckDBPyConnection, named: str) -> None:
    """Lists and watch events taken apart. An envelope's own time counts before the file name's."""
    envelope = utc(
        "coalesce(json_extract_string(d, '$.observed_at'), json_extract_string(d, '$.timestamp'), json_extract_string(d, '$.time'))"
    )
    con.execute(
        f"""
        CREATE TABLE wrapped AS
        SELECT n, coalesce({envelope}, {named}) AS observed_at,
            CASE WHEN json_exists(d, '$.object') AND json_extract_string(d, '$.type') IN {EVENT_TYPES}
                THEN json_extract_string(d, '$.type') END AS event,
            CASE WHEN json_exists(d, '$.object') THEN json_extract(d, '$.object') ELSE d END AS w
        FROM documents
        """  # noqa: S608
    )
    con.execute(
        """
        CREATE TABLE objects AS
        WITH members AS (
            SELECT n, observed_at, event, json_type(w, '$.items') = 'ARRAY' AS is_list,
                nullif(regexp_replace(coalesce(json_extract_string(w, '$.kind'), ''), 'List$', ''), '') AS list_kind,
                unnest(CASE WHEN json_type(w, '$.items') = 'ARRAY' THEN json_extract(w, '$.items[*]') ELSE [w] END) AS o
            FROM wrapped
        ),
        numbered AS (SELECT *, row_number() OVER () AS _row FROM members)
        SELECT _row, o, observed_at, event, coalesce(json_extract_string(o, '$.kind'), list_kind) AS kind,
            CASE WHEN is_list THEN min(_row) OVER (PARTITION BY n) END AS list_row
        FROM numbered
        """
    )


def _pointer(path: tuple[str, ...]) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in path)
