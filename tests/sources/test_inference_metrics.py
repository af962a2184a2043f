"""Counters of inference servers."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from pipelines.errors import DeliveryRefused
from pipelines.landing import Landing
from pipelines.source import Window
from pipelines.sources.inference_metrics import InferenceMetrics
from tests.prometheus_server import PrometheusServer
from tests.sources.fixtures import inference_metrics as fixture
from tests.sources.reading import DAY, fetch, real_data, rows, source

T0 = 1791158400


def test_pages_and_answers(tmp_path):
    triton, vllm = fetch("inference_metrics", tmp_path, **fixture.write(tmp_path / "in"))
    ten = dt.datetime(2026, 10, 5, 10)
    assert rows(vllm, "sample_at", "metric", "value", "model_name", "engine", "finished_reason", "endpoint") == [
        (ten, "vllm:request_success_total", 120.0, "Qwen/Qwen2.5", "0", "stop", "chat"),
        (ten, "vllm:request_success_total", 3.0, "Qwen/Qwen2.5", "1", "length", "chat"),
        (ten, "vllm:request_success_created", 1774011461.2876968, "Qwen/Qwen2.5", "0", "stop", "chat"),
        (ten, "python_gc_objects_collected_total", 11.0, None, None, None, "chat"),
    ]
    assert rows(triton, "metric", "value", "model_name", "model_version", "pod", "labels")[0] == (
        "nv_inference_request_success", 42.0, "resnet", "1", "t-0", '{"endpoint":"http","model":"resnet","pod":"t-0","version":"1"}',
    )  # fmt: skip


def test_endpoint_label_is_a_port_and_never_the_endpoint(tmp_path):
    entry = fixture.write(tmp_path / "in")
    del entry["endpoint"]
    triton, _ = fetch("inference_metrics", tmp_path, **entry)
    assert rows(triton, "endpoint") == [(None,), (None,)]


def test_counters_from_a_server_with_a_reset_and_a_prefix(tmp_path, monkeypatch):
    monkeypatch.setattr(InferenceMetrics, "now", lambda _: dt.datetime(2026, 10, 7, tzinfo=dt.UTC))

    def one(name, values, **labels):
        return {"metric": {"__name__": name, "instance": "10.0.0.1:8000", **labels}, "values": values}

    series = [
        one("vllm:request_success_total", [(T0 + 5, 100), (T0 + 65, 7)], engine="0", finished_reason="stop"),  # restarted
        one("kserve_vllm:request_success_total", [(T0 + 5, 1)]),
        one("vllm:num_requests_waiting", [(T0 + 5, 9)]),  # not asked for
    ]
    with PrometheusServer(series) as server:
        metrics = source("inference_metrics", location=server.location, slot_seconds=60)
        deliveries = list(metrics.fetch(Window(DAY, DAY), Landing(tmp_path / "raw")))
    assert rows(deliveries[-1], "metric", "value", "instance", "engine") == [
        ("vllm:request_success_total", 100.0, "10.0.0.1:8000", "0"),
        ("vllm:request_success_total", 7.0, "10.0.0.1:8000", "0"),
        ("kserve_vllm:request_success_total", 1.0, "10.0.0.1:8000", None),
    ]


def test_formats_it_does_not_read(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/a.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DeliveryRefused, match="none of 1 objects"):
        fetch("inference_metrics", tmp_path, location=str(tmp_path / "in"))
    with pytest.raises(DeliveryRefused, match="cannot read csv"):
        fetch("inference_metrics", tmp_path, location=str(tmp_path / "in"), include="*.csv")


def test_real_page_and_answer_parse_without_loss(tmp_path):
    folder = real_data() / "vllm_exposition"
    (tmp_path / "in").mkdir()
    page = (folder / "cncf_kops_vllm_metrics.prom").read_text()
    (tmp_path / "in/vllm-20260320T130000Z.prom").write_text(page)
    answer = (folder / "prometheus_instant_query_vllm_num_requests_waiting.json").read_text()
    (tmp_path / "in/a.json").write_text(answer)
    saved, vllm = fetch("inference_metrics", tmp_path, location=str(tmp_path / "in"))
    lines = [line for line in page.splitlines() if line.strip() and not line.startswith("#")]
    assert vllm.files[0].rows == len(lines) > 300
    assert vllm.rejected == ()
    assert [m for (m,) in rows(vllm, "metric")] == [line.split("{")[0].split(" ")[0] for line in lines]
    # 1774011473.784 s
    assert rows(saved, "sample_at", "metric", "value", "pod", "engine") == [
        (dt.datetime(2026, 3, 20, 12, 57, 53, 784000), "vllm:num_requests_waiting", 0.0, "vllm-qwen25-500m-75f997f84c-bbxwq", "0")
    ]
    assert json.loads(rows(saved, "labels")[0][0])["endpoint"] == "http"
