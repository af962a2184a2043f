"""Kubernetes: pods, what owns them, and nodes, from saved API objects.

Belongs here: which objects of a file become which raw table, and what is counted. Does not: the fields (ingestion/kubernetes_*.py),
which run a pod belongs to and when it ended (dbt).

A cluster is an entry of its own: uids are a cluster's. What a cluster says is put together over all its files in staging; a file that
is taken away keeps counting.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

import duckdb
from pydantic import Field

from pipelines.ingestion.file_source import FIRST_DAY, LAST_DAY, Converted, FileConfig, FileSource, Incoming
from pipelines.ingestion.kubernetes_nodes import NODES, node_fields
from pipelines.ingestion.kubernetes_objects import OWNER_KINDS, at, choose, open_objects, time_at
from pipelines.ingestion.kubernetes_pods import OWNERS, PODS, owner_object_fields, pod_fields
from pipelines.ingestion.records import land_records
from pipelines.ingestion.rejects import Rejects
from pipelines.landing import Staging
from pipelines.source import SourceConfig

SIGNS = ("BOOKMARK", "ERROR")  # a watch says them of itself
NO_INSTANT = "a list whose file name tells no instant: nothing can be seen to be gone from it"


class KubernetesConfig(FileConfig):
    """``cluster`` names the cluster; ``environment`` are variables of a pod that count as labels, where their value stands in the spec."""

    cluster: str | None = Field(default=None, description="the cluster's name, on every node; default: by the nodes' labels")
    environment: list[str] = Field(
        default=["MLFLOW_RUN_ID", "RUN_ID"], description="environment variables of containers that are read as labels; no other is"
    )


class Kubernetes(FileSource):
    """Saved API objects of one cluster."""

    kind = "kubernetes"
    description = "Kubernetes pods, their owners and nodes, as `kubectl get -o json` and watches save them."
    tables = (PODS, OWNERS, NODES)
    config_model: ClassVar[type[SourceConfig]] = KubernetesConfig
    formats = ("json",)
    config: KubernetesConfig

    def convert(self, incoming: Incoming, staging: Staging) -> Converted:
        """One file of lists, objects or events. Objects that say nothing of workloads are left out, counted by kind."""
        with open_objects(incoming) as records:
            con = records.con
            parts: list[Converted] = []
            for table, condition, fields in (
                (PODS, "kind = 'Pod'", pod_fields(self.config.environment)),
                (OWNERS, f"kind IN {OWNER_KINDS}", owner_object_fields()),
                (NODES, "kind = 'Node'", node_fields(self.config.cluster)),
            ):
                choose(con, f"{condition} AND coalesce(event, '') NOT IN {SIGNS}")
                name = "hostname" if table is NODES else "name"
                unusable = {f"a {table.name[:-1]} without uid or name": f"uid IS NULL OR {name} IS NULL"}
                notes = {NO_INSTANT: "is_listed AND observed_at IS NULL"}
                parts.append(
                    land_records(records, incoming, staging, table, aliases={}, expressions=fields, unusable=unusable, notes=notes)
                )
            rejected = [entry for part in parts for entry in part.rejected] + _left_out(con, incoming.key)
            return Converted(_covers(con), rejected)


def _left_out(con: duckdb.DuckDBPyConnection, file: str) -> list[dict[str, Any]]:
    """What else stood in the file, by kind."""
    rejects = Rejects(file)
    for what, rows, first in con.execute(
        f"""
        SELECT CASE WHEN event IN {SIGNS} THEN 'a bookmark or error of a watch'
                ELSE 'an object of kind ' || coalesce(left(kind, 60), '(none)') || ', which tells of no workload' END,
            count(*), min(_row)
        FROM objects
        WHERE event IN {SIGNS} OR kind IS NULL OR kind NOT IN {("Pod", "Node", *OWNER_KINDS)}
        GROUP BY 1 ORDER BY 3
        """  # noqa: S608
    ).fetchall():
        rejects.add(what, rows, row=first)
    return rejects.entries()


def _covers(con: duckdb.DuckDBPyConnection) -> tuple[dt.date, dt.date] | None:
    """From the first creation on, without end; a list touches every day, since what it lacks may have ended on any."""
    rows, first, has_list = con.execute(
        f"SELECT count(*), min(CAST({time_at('metadata', 'creationTimestamp')} AS DATE)), bool_or(list_row IS NOT NULL) FROM objects"  # noqa: S608
        f" WHERE kind IN {('Pod', 'Node', *OWNER_KINDS)} AND coalesce(event, '') NOT IN {SIGNS} AND {at('metadata', 'uid')} IS NOT NULL"
        f" AND {at('metadata', 'name')} IS NOT NULL"
    ).fetchone()  # type: ignore[misc]
    if not rows:
        return None
    return (FIRST_DAY if has_list or first is None else first), LAST_DAY
