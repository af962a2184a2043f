"""The recording's files: pages of dcgm-exporter's exposition, Parquet of the same samples, Parquet of the processes.

Belongs here: their layout, names and rotation. Does not: what is in them (readings.py).

`<out>/exposition/<host>-<instant>.prom`, `<out>/parquet/<host>-<instant>.parquet` and `<out>/processes/...`; the instant is the first
sample's. A file is written aside and renamed when it is whole, so that a reader never sees half of one; give the `dcgm` source
`exposition/` or `parquet/`, not both (they are the same samples). Each sample line of a page ends with its own instant in milliseconds.
"""

from __future__ import annotations

import datetime as dt
import fcntl
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TextIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.errors import UsageError
from pipelines.recording.readings import LABELS, METRICS, Reading

ASIDE = ".unfinished"
SAMPLE_SCHEMA = pa.schema(
    [("timestamp", pa.timestamp("us", "UTC")), *((n, pa.string()) for n in LABELS), *((n, pa.float64()) for n in METRICS)]
)
PROCESS_SCHEMA = pa.schema(
    [
        ("timestamp", pa.timestamp("us", "UTC")),
        *((n, pa.string()) for n in ("Hostname", "gpu", "UUID", "pci_bus_id", "GPU_I_PROFILE", "GPU_I_ID")),
        ("pid", pa.int64()),
        ("kind", pa.string()),
        ("used_memory_bytes", pa.int64()),
        ("sm_util_percent", pa.int64()),
        *((n, pa.string()) for n in ("namespace", "pod", "pod_uid", "slurm_job_id", "container_id")),
    ]
)


def page_lines(readings: Iterable[Reading]) -> Iterable[str]:
    """One sample's lines: grouped by metric under its HELP and TYPE, as dcgm-exporter prints them, each with its instant."""
    readings = list(readings)
    for metric, (kind, text) in METRICS.items():
        with_value = [r for r in readings if metric in r.values]
        if with_value:
            yield f"# HELP {metric} {text}"
            yield f"# TYPE {metric} {kind}"
        for reading in with_value:
            for labels in reading.rows():
                told = ",".join(f'{name}="{_escaped(labels[name])}"' for name in LABELS if labels.get(name))
                yield f"{metric}{{{told}}} {_number(reading.values[metric])} {reading.at_ms}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float | int) -> str:
    return str(value) if isinstance(value, int) else f"{value:.6f}"


def sample_rows(reading: Reading) -> Iterable[dict[str, Any]]:
    """Rows of SAMPLE_SCHEMA: one, or one for each owner."""
    for labels in reading.rows():
        yield {"timestamp": reading.at_ms * 1000, **labels, **{name: float(value) for name, value in reading.values.items()}}


def process_rows(reading: Reading) -> Iterable[dict[str, Any]]:
    """Rows of PROCESS_SCHEMA."""
    device = {name: reading.labels.get(name) for name in ("Hostname", "gpu", "UUID", "pci_bus_id", "GPU_I_PROFILE", "GPU_I_ID")}
    for process in reading.processes:
        owner = process.owner
        yield {
            "timestamp": reading.at_ms * 1000, **device,
            "pid": process.pid, "kind": process.kind, "used_memory_bytes": process.used_memory_bytes, "sm_util_percent": process.sm_util_percent,
            "namespace": owner.namespace, "pod": owner.pod, "pod_uid": owner.pod_uid, "slurm_job_id": owner.slurm_job_id,
            "container_id": owner.container_id,
        }  # fmt: skip


class Recording:
    """The folder that one recorder writes. A context manager; leaving it completes the files."""

    def __init__(self, out: Path, hostname: str, *, exposition: bool, parquet: bool) -> None:
        self.out, self.hostname, self.exposition, self.parquet = out, hostname, exposition, parquet
        self.files: list[Path] = []
        self._page: TextIO | None = None
        self._samples: list[dict[str, Any]] = []
        self._processes: list[dict[str, Any]] = []
        self._stem = ""

    def __enter__(self) -> Recording:
        aside = self.out / ASIDE
        try:
            aside.mkdir(parents=True, exist_ok=True)
            self._lock = (aside / "lock").open("w")
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UsageError("another recorder writes there", where=str(self.out), remedy="stop it, or name another --out") from None
        except OSError as error:
            raise UsageError(f"the folder cannot be written: {error}", where=str(self.out), remedy="name another --out") from error
        for left in sorted(aside.glob("*.prom")):  # of a recorder that was killed: whole lines are samples
            text = left.read_text(encoding="utf-8")
            left.write_text(text[: text.rfind("\n") + 1], encoding="utf-8")
            self._complete(left, "exposition")
        return self

    def __exit__(self, *_: object) -> None:
        self.rotate()
        self._lock.close()

    def add(self, readings: list[Reading]) -> None:
        """Write one look at the GPUs."""
        if not readings:
            return
        if not self._stem:
            at = dt.datetime.fromtimestamp(readings[0].at_ms / 1000, dt.UTC)
            self._stem = f"{self.hostname}-{at:%Y%m%dT%H%M%S}.{readings[0].at_ms % 1000:03d}Z"
        if self.exposition:
            if self._page is None:
                self._page = (self.out / ASIDE / f"{self._stem}.prom").open("w", encoding="utf-8")
            self._page.write("".join(line + "\n" for line in page_lines(readings)))
            self._page.flush()
        if self.parquet:
            self._samples += [row for reading in readings for row in sample_rows(reading)]
        self._processes += [row for reading in readings for row in process_rows(reading)]

    def rotate(self) -> None:
        """Complete the open files; the next look opens new ones."""
        if self._page is not None:
            self._page.close()
            self._complete(Path(self._page.name), "exposition")
            self._page = None
        for folder, rows, schema in (("parquet", self._samples, SAMPLE_SCHEMA), ("processes", self._processes, PROCESS_SCHEMA)):
            if rows:
                path = self.out / ASIDE / f"{folder}-{self._stem}.parquet"
                pq.write_table(pa.Table.from_pylist(rows, schema), path, compression="zstd")
                self._complete(path, folder)
        self._samples, self._processes, self._stem = [], [], ""

    def _complete(self, path: Path, folder: str) -> None:
        with path.open("rb") as written:
            os.fsync(written.fileno())
        (self.out / folder).mkdir(exist_ok=True)
        target = self.out / folder / path.name.removeprefix(f"{folder}-")
        path.replace(target)
        self.files.append(target)
