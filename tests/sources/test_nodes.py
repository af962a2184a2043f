"""Node inventories."""

from __future__ import annotations

import datetime as dt
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.errors import DeliveryRefused
from tests.sources.fixtures import nodes as fixture
from tests.sources.reading import fetch, reasons, rows

BEGIN, END = dt.date(1, 1, 1), dt.date(9999, 12, 31)


def put(tmp_path, name, text):
    (tmp_path / "in").mkdir(exist_ok=True)
    (tmp_path / "in" / name).write_text(text)
    return {"location": str(tmp_path / "in")}


def test_inventory_with_instance_ids_and_provider_ids(tmp_path):
    (delivery,) = fetch("nodes", tmp_path, **fixture.write(tmp_path / "in"))
    assert rows(delivery, "hostname", "provider", "resource_id", "gpu_count") == [
        ("node1", "aws", "i-0abc", 8),
        ("node2", "gcp", "gke-pool-1", 4),
        ("node3", "aws", "i-0def", 8),
    ]
    assert rows(delivery, "vcpus", "memory_gib", "valid_from", "valid_to", "labels", "aliases", "volumes", "gpus")[0] == (
        96.0,
        1152.0,
        dt.datetime(2026, 10, 1),
        dt.datetime(2026, 10, 6),
        '{"team":"core"}',
        '["ip-10-0-0-1","node1.local"]',
        '["vol-1","vol-2"]',
        '[{"uuid":"GPU-1","index":0}]',
    )
    assert reasons(delivery) == {"no resource_id, and no provider_id that holds one": (1, 4)}
    assert delivery.covers == (BEGIN, END)  # node3 has neither end


@pytest.mark.parametrize(
    ("valid_from", "valid_to", "covers"),
    [
        ("2026-10-01T00:00:00Z", "2026-10-06T12:00:00Z", (dt.date(2026, 10, 1), dt.date(2026, 10, 6))),
        ("2026-10-01T01:00:00+02:00", "", (dt.date(2026, 9, 30), END)),
        ("", "2026-10-06", (BEGIN, dt.date(2026, 10, 6))),
    ],
)
def test_days_an_inventory_touches(tmp_path, valid_from, valid_to, covers):
    (delivery,) = fetch(
        "nodes",
        tmp_path,
        **put(tmp_path, "n.csv", f"hostname,resource_id,gpu_count,valid_from,valid_to\na,i-1,8,{valid_from},{valid_to}\n"),
    )
    assert delivery.covers == covers


def test_json_and_parquet_say_what_csv_says(tmp_path):
    row = {
        "hostname": "a",
        "resource_id": "//compute.googleapis.com/p/z/instances/1",
        "gpu_count": 8,
        "labels": {"team": "x"},
        "volumes": ["v1", "v2"],
    }
    gpus = [{"uuid": "GPU-1", "index": 0, "pci_bus_id": "00000000:01:00.0"}]
    entry = put(tmp_path, "a.jsonl", json.dumps({**row, "gpus": gpus}) + "\n")
    put(tmp_path, "b.json", json.dumps([{**row, "gpus": gpus}], indent=1))
    pq.write_table(pa.Table.from_pylist([{**row, "gpus": gpus}]), tmp_path / "in/c.parquet")
    deliveries = fetch("nodes", tmp_path, **entry)
    found = [rows(d, "hostname", "resource_id", "gpu_count", "labels", "volumes", "gpus") for d in deliveries]
    assert found[0] == [("a", row["resource_id"], 8, '{"team":"x"}', '["v1","v2"]', json.dumps(gpus, separators=(",", ":")))]
    assert found[1] == found[0]
    assert found[2] == found[0]


def test_rows_that_cannot_be_used_and_values_that_cannot_be_read_are_counted(tmp_path):
    text = """hostname,resource_id,gpu_count,vcpus,valid_from,valid_to,labels
a,i-1,8,many,soon,,not json
b,i-2,8.5,,,,
,i-3,8,,,,
d,i-4,-1,,,,
e,i-5,8,,2026-10-05,2026-10-05,
f,i-6,0,1.5,,,{}
"""
    (delivery,) = fetch("nodes", tmp_path, **put(tmp_path, "n.csv", text))
    assert rows(delivery, "hostname", "gpu_count", "vcpus", "labels") == [("a", 8, None, None), ("f", 0, 1.5, "{}")]
    assert reasons(delivery) == {
        "no gpu_count, or not a whole number from 0": (2, 2),
        "no hostname": (1, 3),
        "valid_to is not after valid_from": (1, 5),
        "vcpus is not a DOUBLE: kept as NULL": (1, 1),
        "valid_from is not a TIMESTAMP: kept as NULL": (1, 1),
        "labels is not a JSON: kept as NULL": (1, 1),
    }


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("n.csv", "hostname,gpu_count\na,8\n", "resource_id or instance_id or provider_id"),
        ("n.csv", "hostname,resource_id,gpu_count\na,i-1\n", "fields"),
        ("n.jsonl", '{"hostname":"a","resource_id":"i-1","gpu_count":8}\n{"hostname":', "not complete JSON"),
        ("n.json", "[1,2]", "not a JSON object"),
    ],
)
def test_files_that_cannot_be_used_are_refused(tmp_path, name, text, words):
    with pytest.raises(DeliveryRefused, match=words) as caught:
        fetch("nodes", tmp_path, **put(tmp_path, name, text))
    assert caught.value.remedy


def test_hostile_names_are_stored_as_they_are(tmp_path):
    payloads = ["'; DROP TABLE x; --", '"', "{{ env_var('X') }}", "$$", "a\\b", "\u202eevil", "]]", "%00"]
    entry = put(tmp_path, "n.jsonl", "".join(json.dumps({"hostname": p, "resource_id": p, "gpu_count": 1, p: p}) + "\n" for p in payloads))
    (delivery,) = fetch("nodes", tmp_path, **entry)
    assert [r[0] for r in rows(delivery, "hostname")] == payloads
    assert [r[0] for r in rows(delivery, "resource_id")] == payloads
