"""Counters of inference servers (vLLM, Triton, KServe) as Prometheus samples.

Belongs here: which metrics are asked for and which labels become columns. Does not: resets, rates and sums over engines (dbt);
the Prometheus formats (prometheus.py, exposition.py).

``*_created`` series are gauges with a creation time, not counters; they are kept under their own names. The label ``endpoint``
is the scrape port's name in Kubernetes, never the service: it stays in ``labels`` only.
"""

from __future__ import annotations

import json
from typing import ClassVar

import pyarrow as pa
from pydantic import Field

from pipelines.ingestion.prometheus_source import PrometheusConfig, PrometheusSource
from pipelines.ingestion.samples import NAME, TEXT, SampleBatch
from pipelines.source import Column, RawTable, SourceConfig

LABELS: dict[str, tuple[str, tuple[str, ...]]] = {
    "model_name": ("Model as the server names it.", ("model_name", "model")),
    "model_version": ("Model version (Triton).", ("model_version", "version")),
    "engine": ("Engine of a data-parallel server (vLLM).", ("engine",)),
    "finished_reason": ("stop, length, abort, error or repetition (vLLM).", ("finished_reason",)),
    "namespace": ("Label namespace.", ("namespace",)),
    "pod": ("Label pod.", ("pod",)),
    "exported_namespace": ("The server's namespace where namespace is the scraper's.", ("exported_namespace",)),
    "exported_pod": ("The server's pod where pod is the scraper's.", ("exported_pod",)),
    "instance": ("Scraped address: one replica.", ("instance",)),
}
COUNTERS = RawTable(
    "counters",
    "One value of one series at one instant.",
    (
        Column("sample_at", "TIMESTAMP", "The sample's instant, UTC."),
        Column("metric", "VARCHAR", "Metric name as it stands."),
        Column("value", "DOUBLE", "Value as it stands."),
        *(Column(name, "VARCHAR", description) for name, (description, _) in LABELS.items()),
        Column("endpoint", "VARCHAR", "Endpoint name fixed in the settings; NULL where the labels tell."),
        Column("labels", "JSON", "JSON object of all labels, the metric's name aside."),
    ),
)


class InferenceMetricsConfig(PrometheusConfig):
    """``endpoint`` names the endpoint of every row."""

    endpoint: str | None = Field(default=None, description="the endpoint of every row, where labels do not tell it")


class InferenceMetrics(PrometheusSource):
    """Samples of inference servers' counters."""

    kind = "inference_metrics"
    description = "Request and token counters of vLLM, Triton and KServe."
    tables = (COUNTERS,)
    config_model: ClassVar[type[SourceConfig]] = InferenceMetricsConfig
    sample_table = "counters"
    schema = pa.schema(
        [
            ("sample_at", pa.timestamp("us")),
            ("metric", TEXT),
            ("value", pa.float64()),
            *((name, TEXT) for name in LABELS),
            ("endpoint", TEXT),
            ("labels", TEXT),
        ]
    )
    default_metrics = (
        "vllm:request_success_total",
        "vllm:prompt_tokens_total",
        "vllm:prompt_tokens_cached_total",
        "vllm:generation_tokens_total",
        "nv_inference_request_success",
        "nv_inference_request_failure",
        "nv_inference_count",
        "kserve_*",
    )
    config: InferenceMetricsConfig

    def project(self, batch: SampleBatch) -> pa.Table:
        """Every sample of a page or an answer: nothing is left out."""
        columns = {name: batch.label(names) for name, (_, names) in LABELS.items()}
        columns |= {
            "sample_at": batch.at(),
            "metric": batch.label([NAME]),
            "value": pa.array(batch.value),
            "endpoint": batch.text(lambda _: self.config.endpoint),
            "labels": batch.text(_labels),
        }
        return pa.table(columns).select(self.schema.names)


def _labels(labels: dict[str, str]) -> str:
    return json.dumps({k: v for k, v in sorted(labels.items()) if k != NAME}, ensure_ascii=False, separators=(",", ":"))
