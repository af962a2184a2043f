"""Profiling ratios (DCGM_FI_PROF_*) without DCGM: NVML's GPM, which Hopper and later have; or a dcgm-exporter that runs here.

Belongs here: two GPM samples into ratios; the profiling lines of an exporter's page. Does not: everything else of a device (nvml.py).

A ratio covers the time between two looks, so the first look has none. A value outside 0 to 100 %, NaN, or one with an error of its
own is absent.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any

from pipelines.ingestion.exposition import parse_page
from pipelines.ingestion.rejects import Rejects
from pipelines.ingestion.samples import NAME
from pipelines.recording.readings import PROFILING

# NVML_GPM_METRIC_* (percent) -> dcgm-exporter's name (ratio)
GPM_METRICS = {
    1: "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
    2: "DCGM_FI_PROF_SM_ACTIVE",
    3: "DCGM_FI_PROF_SM_OCCUPANCY",
    5: "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE",
    10: "DCGM_FI_PROF_DRAM_ACTIVE",
}


class Gpm:
    """The ratios of one GPU or MIG instance between this look and the last; {} where the device has no GPM."""

    def __init__(self, nvml: Any, device: Any, instance_id: int | None) -> None:
        self.nvml, self.device, self.instance_id = nvml, device, instance_id
        self._last: Any = None
        try:
            self.supported = bool(nvml.nvmlGpmQueryDeviceSupport(device).isSupportedDevice)
        except nvml.NVMLError:
            self.supported = False

    def look(self) -> dict[str, float]:
        """Ratios since the last look. Raises NVMLError where the device is gone."""
        if not self.supported:
            return {}
        sample = self.nvml.nvmlGpmSampleAlloc()
        try:
            if self.instance_id is None:
                self.nvml.nvmlGpmSampleGet(self.device, sample)
            else:
                self.nvml.nvmlGpmMigSampleGet(self.device, self.instance_id, sample)
            ratios = self._ratios(sample) if self._last is not None else {}
        except self.nvml.NVMLError:
            self.nvml.nvmlGpmSampleFree(sample)
            raise
        self.close()
        self._last = sample
        return ratios

    def _ratios(self, sample: Any) -> dict[str, float]:
        wanted = self.nvml.c_nvmlGpmMetricsGet_t()
        wanted.version = self.nvml.NVML_GPM_METRICS_GET_VERSION
        wanted.numMetrics = len(GPM_METRICS)
        wanted.sample1, wanted.sample2 = self._last, sample
        for place, metric in enumerate(GPM_METRICS):
            wanted.metrics[place].metricId = metric
        got = self.nvml.nvmlGpmMetricsGet(wanted)
        found = {}
        for place, name in enumerate(GPM_METRICS.values()):
            metric = got.metrics[place]
            if metric.nvmlReturn == 0 and 0 <= metric.value <= 100:  # NaN fails both
                found[name] = round(metric.value / 100, 6)
        return found

    def close(self) -> None:
        """Give the last sample's memory back."""
        if self._last is not None:
            self.nvml.nvmlGpmSampleFree(self._last)
            self._last = None


def exporter_ratios(url: str, timeout_seconds: float) -> dict[tuple[str, str], dict[str, float]]:
    """(UUID, GPU_I_ID or '') -> profiling ratios on the page of a running dcgm-exporter. Raises OSError where it does not answer."""
    with urllib.request.urlopen(url, timeout=timeout_seconds) as answer:  # noqa: S310
        lines = answer.read().decode("utf-8", "replace").splitlines()
    found: dict[tuple[str, str], dict[str, float]] = {}
    for batch in parse_page(lines, 1_000_000_000_000_000, Rejects(url)):
        for index, value in zip(batch.index.tolist(), batch.value.tolist(), strict=True):
            labels = batch.series[index]
            name, uuid = labels.get(NAME, ""), labels.get("UUID") or labels.get("uuid")
            if uuid and name in PROFILING and 0 <= value <= 1:
                found.setdefault((uuid, labels.get("GPU_I_ID", "")), {})[name] = value
    return found
