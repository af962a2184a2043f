"""Workload intervals."""

from __future__ import annotations

import datetime as dt

import duckdb
import pytest

from pipelines.errors import DeliveryRefused
from tests.sources.fixtures import workloads as fixture
from tests.sources.reading import DAY, fetch, real_data, reasons, rows

END = dt.date(9999, 12, 31)


def put(tmp_path, name, text):
    (tmp_path / "in").mkdir(exist_ok=True)
    (tmp_path / "in" / name).write_text(text)
    return {"location": str(tmp_path / "in")}


def test_times_gpu_ids_and_labels_in_every_spelling(tmp_path):
    more, runs = fetch("workloads", tmp_path, **fixture.write(tmp_path / "in"))
    ten = dt.datetime(2026, 10, 5, 10)
    assert rows(runs, "workload_id", "started_at", "ended_at", "hostname", "gpu_ids", "gpu_count", "labels") == [
        (
            "run-1",
            dt.datetime(2026, 10, 5, 8, 10),
            dt.datetime(2026, 10, 5, 9, 30),
            "node1",
            '["0","1","2"]',
            None,
            '{"team":"core","model":"bert"}',
        ),
        ("run-2", ten, dt.datetime(2026, 10, 5, 11), "node1", '["GPU-a","GPU-b"]', None, '{"team":"search"}'),
        ("chat", dt.datetime(2026, 10, 5, 12), None, "node2", None, 2, None),
    ]
    assert rows(more, "workload_id", "started_at", "ended_at", "hostname", "pod", "pod_uid", "gpu_ids", "labels") == [
        ("run-4", ten, None, None, "run-4-0", "u-1", '["0","1"]', '{"team":"core"}')
    ]
    assert reasons(runs) == {"no start, or its time cannot be read": (1, 4)}
    assert runs.covers == (DAY, END)  # chat is still running


def test_a_finished_file_covers_its_days_and_no_more(tmp_path):
    text = "workload_id,start_time,end_time,host\nr,2026-10-04T23:59:59Z,2026-10-06T00:00:00Z,n\n"
    (delivery,) = fetch("workloads", tmp_path, **put(tmp_path, "r.csv", text))
    assert delivery.covers == (dt.date(2026, 10, 4), dt.date(2026, 10, 6))


def test_what_cannot_be_used_is_counted_by_reason(tmp_path):
    text = """workload_id,started_at,ended_at,hostname,gpu_ids,gpu_count,labels
a,2026-10-05T10:00:00Z,later,n,,,
b,2026-10-05T10:00:00Z,2026-10-05T09:00:00Z,n,,,
,2026-10-05T10:00:00Z,,n,,,
d,2026-10-05T10:00:00Z,,,,,
e,2026-10-05T10:00:00Z,,n,[broken,two,{broken
f,20261005,,n,,,
g,2026-10-05T10:00:00Z,,n,,-1,
"""
    (delivery,) = fetch("workloads", tmp_path, **put(tmp_path, "r.csv", text))
    assert rows(delivery, "workload_id", "gpu_ids", "gpu_count", "labels") == [("e", None, None, None)]
    assert reasons(delivery) == {
        "its end cannot be read": (1, 1),  # never turned into "still running"
        "ends before it starts": (1, 2),
        "no workload_id": (1, 3),
        "neither hostname nor pod": (1, 4),
        "no start, or its time cannot be read": (1, 6),
        "gpu_count is negative": (1, 7),
        "gpu_ids is not a JSON: kept as NULL": (1, 5),
        "gpu_count is not a DOUBLE: kept as NULL": (1, 5),
        "labels is not a JSON: kept as NULL": (1, 5),
    }


def test_file_without_a_place_to_run_is_refused(tmp_path):
    with pytest.raises(DeliveryRefused, match="hostname or host or node or pod"):
        fetch("workloads", tmp_path, **put(tmp_path, "r.csv", "workload_id,start\na,2026-10-05T10:00:00Z\n"))


def test_header_only_file_is_an_empty_delivery(tmp_path):
    (delivery,) = fetch("workloads", tmp_path, **put(tmp_path, "r.csv", "workload_id,start,pod\n"))
    assert delivery.files[0].rows == 0
    assert delivery.covers is None
    assert delivery.rejected == ()


def test_real_jobs_as_intervals(tmp_path):
    folder = real_data() / "alex_a40"
    (tmp_path / "in").mkdir()
    target = tmp_path / "in/jobs.csv"
    duckdb.execute(
        """
        COPY (
            SELECT job_id AS workload_id, start_time_unix AS start, start_time_unix + duration_s AS "end", hostname AS host,
                string_agg(pci_bus_id, ';') AS gpu_ids, any_value(project_hash) AS label_project
            FROM read_csv($1) AS jobs JOIN read_csv($2) AS gpus USING (job_id) GROUP BY ALL ORDER BY ALL
        ) TO '{}' (HEADER)
        """.replace("{}", str(target)),
        [str(folder / "gpu_jobs.csv"), str(folder / "gpu_allocations.csv")],
    )
    (delivery,) = fetch("workloads", tmp_path, location=str(tmp_path / "in"))
    assert delivery.rejected == ()
    found = rows(delivery, "workload_id", "started_at", "ended_at", "gpu_ids")
    assert len({f[0] for f in found}) == 216
    hours = sum((end - start).total_seconds() * gpus.count(":") / 2 for _, start, end, gpus in found) / 3600
    assert round(hours, 4) == 2175.3683
