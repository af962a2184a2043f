"""DCGM telemetry in every shape."""

from __future__ import annotations

import datetime as dt
import gzip
import hashlib
import json
import math
import os
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from moto.server import ThreadedMotoServer

from pipelines.errors import DeliveryRefused
from pipelines.landing import Landing
from pipelines.source import Window
from pipelines.sources.dcgm import Dcgm
from pipelines.warehouse import write_raw_relations
from tests.prometheus_server import PrometheusServer
from tests.sources.fixtures import dcgm as fixture
from tests.sources.reading import DAY, fetch, real_data, reasons, rows, source

UTIL = "DCGM_FI_DEV_GPU_UTIL"
T0 = 1791158400  # 2026-10-05T00:00:00Z


def at(hour, minute=0, second=0):
    return dt.datetime(2026, 10, 5, hour, minute, second)


def test_page_labels_values_and_what_is_not_dcgm(tmp_path):
    entry = fixture.write(tmp_path / "in")
    page = next(d for d in fetch("dcgm", tmp_path, **entry) if d.period.endswith(".prom"))
    found = rows(page, "sample_at", "gpu_uuid", "gpu_index", "gpu_model", "namespace", "pod", "metric", "value", "slot_seconds")
    when = at(10, 15)
    assert found[:3] == [
        (when, "GPU-0a", "0", "NVIDIA H100", "ml", "train-0", UTIL, 91.0, 30),
        (when, "GPU-0b", "1", "NVIDIA H100", None, None, UTIL, 0.0, 30),
        (when, "GPU-0a", "0", "NVIDIA H100", "ml", "train-0", "DCGM_FI_PROF_SM_ACTIVE", 0.75, 30),
    ]
    assert math.isnan(found[3][7])  # NaN stays NaN
    assert reasons(page) == {"not a DCGM metric": (1, "go_goroutines")}
    assert page.covers == (DAY, DAY)


def test_label_drift_over_exporter_versions(tmp_path):
    page = "\n".join(
        [
            f'{UTIL}{{gpu="0",UUID="G1",Hostname="n",modelName="A",pod_name="w",pod_namespace="ns",container_name="c",pod="e",job="i"}} 1',
            f'{UTIL}{{gpu="0",uuid="G2",hostname="n",model_name="A",exported_pod="w",exported_namespace="ns",pod="exporter",job="j"}} 2',
            f'{UTIL}{{gpu="0",gpu_uuid="G3",GPU_I_PROFILE="1g.10gb",GPU_I_ID="3",hpc_job="77",vgpu="2",pod_uid="u"}} 3',
        ]
    )
    (tmp_path / "in").mkdir()
    (tmp_path / "in/p-20261005T101500Z.txt").write_text(page + "\n")
    (delivery,) = fetch("dcgm", tmp_path, location=str(tmp_path / "in"), hostname="fallback")
    found = rows(
        delivery, "gpu_uuid", "hostname", "gpu_model", "pod", "namespace", "container", "exported_pod", "exported_namespace", "exporter"
    )
    assert found == [
        ("G1", "n", "A", "w", "ns", "c", None, None, "i"),
        ("G2", "n", "A", "exporter", None, None, "w", "ns", "j"),
        ("G3", "fallback", None, None, None, None, None, None, None),
    ]
    assert rows(delivery, "mig_profile", "mig_instance_id", "hpc_job", "vgpu", "pod_uid")[2] == ("1g.10gb", "3", "77", "2", "u")


def test_wide_parquet_is_landed_byte_for_byte(tmp_path):
    entry = fixture.write(tmp_path / "in")
    wide = next(d for d in fetch("dcgm", tmp_path, **entry) if d.period == "wide.parquet")
    (file,) = wide.files
    original = (tmp_path / "in/wide.parquet").read_bytes()
    assert file.path.read_bytes() == original
    assert file.origin["source_sha256"] == hashlib.sha256(original).hexdigest()
    assert rows(wide, "sample_at", "gpu_uuid", "hostname", "gpu_util", "sm_active", "power_w") == [
        (at(10), "GPU-0a", "node1", 10.0, 0.1, None),
        (at(10, 0, 30), "GPU-0a", "node1", 20.0, 0.2, None),
        (at(10, 1), "GPU-0a", "node1", None, 0.3, None),
    ]


def test_long_parquet_with_a_map_a_struct_or_json_text_of_labels(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    labels = [{"UUID": "G1", "pod": "w"}, {"uuid": "G2", "pod_name": "v"}]
    base = {"timestamp": pa.array([T0 * 1000, None], pa.int64()), "metric": [UTIL, UTIL], "value": [1.0, None]}
    pq.write_table(
        pa.table({**base, "labels": pa.array([list(x.items()) for x in labels], pa.map_(pa.string(), pa.string()))}), folder / "map.parquet"
    )
    struct = pa.struct([("UUID", pa.string()), ("pod", pa.string())])
    pq.write_table(pa.table({**base, "labels": pa.array([{"UUID": "G1", "pod": "w"}, {"UUID": "G2"}], struct)}), folder / "struct.parquet")
    pq.write_table(pa.table({**base, "labels": [json.dumps(x) for x in labels]}), folder / "text.parquet")
    numbers = pa.array([{"UUID": "G1", "gpu": 0}, {"UUID": "G2", "gpu": 1}], pa.struct([("UUID", pa.string()), ("gpu", pa.int64())]))
    pq.write_table(pa.table({**base, "labels": numbers}), folder / "struct_of_numbers.parquet")
    by_map, by_struct, by_numbers, by_text = fetch("dcgm", tmp_path, location=str(folder))
    assert rows(by_numbers, "gpu_uuid", "gpu_index") == [("G1", "0")]
    assert rows(by_map, "gpu_uuid", "pod", "metric") == [("G1", "w", UTIL), ("G2", "v", UTIL)]
    assert by_map.files[0].path.read_bytes() == (folder / "map.parquet").read_bytes()
    assert rows(by_struct, "gpu_uuid", "pod") == [("G1", "w"), ("G2", None)]
    assert rows(by_text, "gpu_uuid", "pod", "sample_at", "value") == [("G1", "w", at(0), 1.0)]
    assert by_map.covers == by_struct.covers == by_text.covers == (DAY, DAY)
    assert reasons(by_map) == {
        "no timestamp (row kept in the file, without an instant)": (1, 2),
        "no value (row kept in the file)": (1, 2),
    }
    assert reasons(by_text) == {"no timestamp, or it cannot be read": (1, 2)}


def test_wide_csv_gz_with_garbage_values(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    text = f"time,UUID,{UTIL},DCGM_FI_PROF_SM_ACTIVE\n2026-10-05T10:00:00Z,G1,4294967295,NaN\n2026-10-05T10:00:30Z,G1,oops,\n"
    (folder / "w.csv.gz").write_bytes(gzip.compress(text.encode()))
    (delivery,) = fetch("dcgm", tmp_path, location=str(folder), slot_seconds=15)
    found = rows(delivery, "sample_at", "gpu_util", "sm_active", "slot_seconds")
    assert found[0][:2] == (at(10), 4294967295.0) and math.isnan(found[0][2]) and found[0][3] == 15
    assert found[1] == (at(10, 0, 30), None, None, 15)
    assert reasons(delivery) == {"gpu_util is not a DOUBLE: kept as NULL": (1, 2)}


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", "timestamp,host,cpu\n2026-10-05T10:00:00Z,n,1\n", "found the columns: timestamp, host, cpu"),
        ("a.prom", f'{UTIL}{{gpu="0"}} 1\n', "no timestamp"),
        ("a.json", '{"status":"success","data":{"resultType":"mat', "not complete JSON"),
        ("a.parquet", "PAR1xxxx", "Parquet"),
        ("a-20261005T101500Z.prom.gz", "not gzip", None),
        ("readme.md", "hello", "none of 1 objects"),
    ],
)
def test_unknown_shapes_are_refused_with_a_remedy(tmp_path, name, content, words):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / name).write_text(content)
    if words is None:  # a page that merely bears the name .gz: read as the bytes say, its line counted
        (delivery,) = fetch("dcgm", tmp_path, location=str(tmp_path / "in"))
        assert delivery.files[0].rows == 0 and delivery.covers is None and sum(r["rows"] for r in delivery.rejected) == 1
        return
    with pytest.raises(DeliveryRefused, match=words) as caught:
        fetch("dcgm", tmp_path, location=str(tmp_path / "in"))
    assert caught.value.remedy
    assert Landing(tmp_path / "raw").chosen("s") == []


def test_parquet_instant_in_an_unknown_unit_is_refused(tmp_path):
    (tmp_path / "in").mkdir()
    table = pa.table({"ts": pa.array([T0 * 1000, T0 * 1_000_000], pa.int64()), "UUID": ["G", "G"], UTIL: [1.0, 2.0]})
    pq.write_table(table, tmp_path / "in/micro.parquet")
    with pytest.raises(DeliveryRefused, match="row 2"):
        fetch("dcgm", tmp_path, location=str(tmp_path / "in"))


@pytest.mark.parametrize("times", [["1791158400"], [True], [["2026-10-05"]]])
def test_parquet_times_that_the_raw_relation_could_not_read_are_refused(tmp_path, times):
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table({"ts": times, "UUID": ["G"], UTIL: [1.0]}), tmp_path / "in/odd.parquet")
    with pytest.raises(DeliveryRefused, match="no instant|no time"):
        fetch("dcgm", tmp_path, location=str(tmp_path / "in"))


def test_raw_relations_read_every_shape_alike(tmp_path):
    """Through the views that staging reads: each shape's row of GPU-0a at 10:00."""
    folder = tmp_path / "in"
    entry = fixture.write(folder)
    labels = pa.array([[("UUID", "GPU-0a"), ("pod", "")]], pa.map_(pa.string(), pa.string()))
    pq.write_table(
        pa.table({"timestamp": [T0 * 1000 + 36_000_000], "metric": [UTIL], "value": [7.0], "labels": labels}), folder / "map.parquet"
    )
    deliveries = fetch("dcgm", tmp_path, **entry, slot_seconds=15)
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        write_raw_relations(con, deliveries)
        at_ten = "WHERE gpu_uuid = 'GPU-0a' AND sample_at = TIMESTAMP '2026-10-05 10:00:00' ORDER BY ALL"
        wide = con.execute(f"SELECT hostname, gpu_util, sm_active, slot_seconds FROM raw.dcgm__samples_wide {at_ten}").fetchall()  # noqa: S608
        long = con.execute(f"SELECT metric, value, pod, slot_seconds FROM raw.dcgm__samples_long {at_ten}").fetchall()  # noqa: S608
        assert con.execute("SELECT count(*) FROM raw.dcgm__samples_long").fetchall() == [(10,)]
    assert wide == [("node1", 10.0, 0.1, 15)]
    assert long == [("DCGM_FI_DEV_FB_USED", 1024.0, None, 15), (UTIL, 7.0, None, 15)]


def test_one_refused_file_does_not_hide_the_good_ones_or_other_refusals(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.json").write_text("{")
    (folder / "b.json").write_text("{")
    (folder / "c-20261005T101500Z.prom").write_text(f'{UTIL}{{UUID="G"}} 1\n')
    with pytest.raises(DeliveryRefused, match="and 1 more refused"):
        fetch("dcgm", tmp_path, location=str(folder))
    assert [d.period for d in Landing(tmp_path / "raw").chosen("s")] == ["c-20261005T101500Z.prom"]


def test_unchanged_files_are_not_converted_again_and_changed_ones_replace(tmp_path):
    entry = fixture.write(tmp_path / "in")
    first = fetch("dcgm", tmp_path, **entry)
    page = tmp_path / "in/node1-20261005T101500Z.prom"
    inodes = {f.path: f.path.stat().st_ino for d in first for f in d.files}
    os.utime(page, (1, 1))  # touched only
    second = fetch("dcgm", tmp_path, **entry)
    assert [d.delivery_id for d in second] == [d.delivery_id for d in first]
    assert {f.path: f.path.stat().st_ino for d in second for f in d.files} == inodes
    page.write_text(fixture.PAGE.replace("} 91", "} 92"))
    third = {d.period: d for d in fetch("dcgm", tmp_path, **entry)}
    assert rows(third[page.name], "value")[0] == (92.0,)
    assert sum(d.delivery_id not in {e.delivery_id for e in first} for d in third.values()) == 1
    assert len(Landing(tmp_path / "raw").chosen("s")) == 4
    fourth = {d.period: d for d in fetch("dcgm", tmp_path, slot_seconds=15, **entry)}  # an option changes what rows say
    assert rows(fourth[page.name], "slot_seconds")[0] == (15,)


def test_same_bytes_give_the_same_delivery_elsewhere(tmp_path):
    one = fetch("dcgm", tmp_path / "1", **fixture.write(tmp_path / "in1"))
    two = fetch("dcgm", tmp_path / "2", **fixture.write(tmp_path / "in2"))
    assert [d.delivery_id for d in one] == [d.delivery_id for d in two]


def test_from_an_s3_prefix(tmp_path, monkeypatch):
    import boto3

    for name, value in {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        url = f"http://{host}:{port}"
        client = boto3.client("s3", endpoint_url=url)
        client.create_bucket(Bucket="telemetry")
        client.put_object(Bucket="telemetry", Key="dcgm/2026/node1-20261005T101500Z.prom", Body=fixture.PAGE.encode())
        (delivery,) = fetch("dcgm", tmp_path, location="s3://telemetry/dcgm", endpoint_url=url)
        assert delivery.period == "2026/node1-20261005T101500Z.prom"
        assert delivery.files[0].rows == 4
        (again,) = fetch("dcgm", tmp_path, location="s3://telemetry/dcgm", endpoint_url=url)
        assert again.delivery_id == delivery.delivery_id
    finally:
        server.stop()


# --- a Prometheus server


def server_series():
    def one(metric, uuid, values):
        return {"metric": {"__name__": metric, "UUID": uuid, "Hostname": "n", "gpu": "0", "instance": "i"}, "values": values}

    previous_day = [(T0 - 60, 5)]
    return [
        one(UTIL, "G1", previous_day + [(T0 + 5, 10), (T0 + 35, 20)]),
        one("DCGM_FI_PROF_SM_ACTIVE", "G1", [(T0 + 5, 0.1), (T0 + 35, "NaN")]),
        one("DCGM_FI_DEV_MEM_CLOCK", "G1", [(T0 + 5, 1)]),  # not asked for
    ]


class Clock:
    """Lets a test say what time it is (a source's ``now`` is its only clock)."""

    def __init__(self, monkeypatch):
        self.monkeypatch = monkeypatch

    def set(self, *when):
        self.monkeypatch.setattr(Dcgm, "now", lambda _: dt.datetime(*when, tzinfo=dt.UTC))


def test_days_of_a_server(tmp_path, monkeypatch):
    clock = Clock(monkeypatch)
    clock.set(2026, 10, 6, 2)
    window = Window(DAY, DAY + dt.timedelta(days=2))  # the 7th has not begun
    with PrometheusServer(server_series()) as server:
        prometheus = source("dcgm", location=server.location)
        first = list(prometheus.fetch(window, Landing(tmp_path / "raw")))
        assert [(d.period, d.files[0].rows) for d in first] == [("2026-10-04", 1), ("2026-10-05", 4), ("2026-10-06", 0)]
        assert [d.covers for d in first] == [(DAY - dt.timedelta(days=1),) * 2, (DAY, DAY), None]
        found = rows(first[1], "sample_at", "metric", "value", "gpu_uuid", "exporter", "slot_seconds")
        late = dt.timedelta(microseconds=-1000)
        assert found[0] == (at(0, 0, 30) + late, "DCGM_FI_PROF_SM_ACTIVE", 0.1, "G1", "i", 30)
        assert math.isnan(found[1][2])
        assert found[2:] == [
            (at(0, 0, 30) + late, UTIL, 10.0, "G1", "i", 30),
            (at(0, 1) + late, UTIL, 20.0, "G1", "i", 30),
        ]
        asked = len(server.requests)
        again = list(prometheus.fetch(window, Landing(tmp_path / "raw")))
        assert [d.delivery_id for d in again] == [d.delivery_id for d in first]
        assert len(server.requests) - asked == 6  # only the unfinished day: 6 metrics, 2 hours each


def test_an_unfinished_day_grows_and_a_forgetful_server_takes_nothing_back(tmp_path, monkeypatch, caplog):
    clock = Clock(monkeypatch)
    window, landing = Window(DAY, DAY), Landing(tmp_path / "raw")
    everything = server_series()
    with PrometheusServer(everything) as server:
        prometheus = source("dcgm", location=server.location)
        clock.set(2026, 10, 5, 0, 0, 31)
        assert list(prometheus.fetch(window, landing))[-1].files[0].rows == 2
        clock.set(2026, 10, 5, 12)
        assert list(prometheus.fetch(window, landing))[-1].files[0].rows == 4
        clock.set(2026, 10, 25)
        server.series = []  # retention
        kept = list(prometheus.fetch(window, landing))[-1]
        assert kept.files[0].rows == 4
        assert "fewer than landed before" in caplog.text
        server.series = everything
        final = list(prometheus.fetch(window, landing))[-1]
        assert final.files[0].rows == 4


# --- real pages


def test_real_pages_parse_without_loss(tmp_path):
    pages = sorted((real_data() / "dcgm_exposition").glob("*.prom"))
    assert len(pages) == 7
    folder = tmp_path / "in"
    folder.mkdir()
    expected = {}
    for page in pages:
        target = folder / f"{page.stem}-20261005T101500Z.prom"
        target.write_bytes(page.read_bytes())
        expected[target.name] = sum(1 for line in page.read_text().splitlines() if line.strip() and not line.startswith("#"))
    found = {d.period: d for d in fetch("dcgm", tmp_path, location=str(folder))}
    assert {name: d.files[0].rows for name, d in found.items()} == expected
    assert sum(expected.values()) > 100
    assert all(d.rejected == () for d in found.values())
    issue = rows(next(d for n, d in found.items() if n.startswith("issue")), "exported_pod", "pod", "namespace", "hostname", "exporter")
    assert issue[-1] == ("pod1", "dcgm-exporter-dev-78z52", "monitoring", "worker1", "someip:9400")
    assert Path(next(iter(found.values())).files[0].path).stat().st_mode & 0o222 == 0


def test_names_of_old_exporters_and_of_collectors(tmp_path):
    """gpu-monitoring-tools, Google's receiver, a writer that adds _total: all DCGM, none rejected; the raw name stays as it stands."""
    page = [
        'dcgm_gpu_utilization{gpu="0",uuid="G1",pod_name="w",pod_namespace="ns",container_name="c"} 30',
        'gpu.dcgm.utilization{"gpu.number"="1","gpu.uuid"="G2","gpu.model"="L4","k8s.pod.name"="v","k8s.namespace.name"="ml"} 0.25',
        'DCGM_FI_DEV_GPU_UTIL_total{gpu="2",UUID="G3",Hostname="n"} 7',
    ]
    (tmp_path / "in").mkdir()
    (tmp_path / "in/p-20261005T101500Z.prom").write_text("\n".join(page) + "\n")
    (delivery,) = fetch("dcgm", tmp_path, location=str(tmp_path / "in"))
    assert rows(delivery, "metric", "gpu_uuid", "gpu_index", "pod", "namespace", "value") == [
        ("dcgm_gpu_utilization", "G1", "0", "w", "ns", 30.0),
        ("gpu.dcgm.utilization", "G2", "1", "v", "ml", 0.25),
        ("DCGM_FI_DEV_GPU_UTIL_total", "G3", "2", None, None, 7.0),
    ]
    assert reasons(delivery) == {}


def test_activity_under_an_unknown_name_is_told(tmp_path):
    """DCGM_FI_PROF_SMX_ACTIVE is in no table; a pipe's activity and memory copies are known to be no activity of the GPU."""
    folder = tmp_path / "in"
    folder.mkdir()
    label = '{gpu="0",UUID="G1",Hostname="n"}'
    names = ("DCGM_FI_PROF_SMX_ACTIVE", "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "DCGM_FI_DEV_MEM_COPY_UTIL", "DCGM_FI_DEV_ENC_UTIL", UTIL)
    (folder / "a-20261005T101500Z.prom").write_text("".join(f"{name}{label} 1\n" for name in names))
    (folder / "b.csv").write_text("timestamp,metric,value,gpu\n" + "".join(f"{T0},{name},1,0\n" for name in names))
    (folder / "c.csv").write_text(f"timestamp,gpu,{','.join(names)}\n{T0},0,1,1,1,1,1\n{T0 + 30},0,,1,1,1,1\n")
    at_t0 = pa.array([dt.datetime(2026, 10, 5)] * len(names), pa.timestamp("us"))
    pq.write_table(
        pa.table({"timestamp": at_t0, "metric": list(names), "value": [1.0] * len(names), "gpu": ["0"] * len(names)}), folder / "d.parquet"
    )
    wide = {"timestamp": at_t0[:1], "gpu": ["0"], **{name: [1.0] for name in names}}
    pq.write_table(pa.table(wide), folder / "e.parquet")
    told = "looks like activity, under a name that is not known (row kept)"
    page, long, wide_csv, long_parquet, wide_parquet = (reasons(d) for d in fetch("dcgm", tmp_path, location=str(folder)))
    assert page == {told: (1, "DCGM_FI_PROF_SMX_ACTIVE")}
    assert long == {told: (1, 1)}
    assert wide_csv == {f"{told}: DCGM_FI_PROF_SMX_ACTIVE": (1, 1)}
    assert long_parquet == {told: (1, 1)}
    assert wide_parquet == {f"{told}: DCGM_FI_PROF_SMX_ACTIVE": (1, 1)}


def test_wide_columns_under_old_names(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/w.csv").write_text(f"time,uuid,dcgm_gpu_utilization,dcgm_fb_used,dcgm_sm_active\n{T0},G1,30,512,0.5\n")
    (delivery,) = fetch("dcgm", tmp_path, location=str(tmp_path / "in"))
    assert rows(delivery, "gpu_uuid", "gpu_util", "fb_used_mib", "sm_active") == [("G1", 30.0, 512.0, 0.5)]
