"""The recorder: looks at the GPUs at a fixed interval until its time is over or it is told to stop.

Belongs here: the clock, the end. Does not: what a look reads (nvml.py) and how it is written (files.py).
"""

from __future__ import annotations

import re
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pipelines.errors import ApportionError, UsageError
from pipelines.recording.files import Recording
from pipelines.recording.nvml import Machine, load_nvml
from pipelines.recording.owners import Owners
from pipelines.recording.profiling import exporter_ratios
from pipelines.recording.readings import Reading

FORMATS = ("exposition", "parquet", "both")
LEAST_INTERVAL_SECONDS = 0.1  # a look takes some milliseconds a GPU; NVML's own values move no faster
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)?")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds_of(text: str, option: str) -> float:
    """Seconds of ``1s``, ``500ms``, ``5m``, ``2h``, ``1d`` or a plain number of seconds. Raises UsageError."""
    match = _DURATION.fullmatch(text.strip())
    if match is None or float(match.group(1)) == 0:
        raise UsageError(f"{option} {text!r} is not a length of time", remedy="write it as 500ms, 1s, 5m or 2h")
    return float(match.group(1)) * _UNITS[match.group(2) or "s"]


@contextmanager
def stopped_by_signals() -> Iterator[threading.Event]:
    """An event that SIGINT and SIGTERM set, instead of ending the process."""
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def record(
    out: Path, *, interval: str = "1s", duration: str | None = None, rotate: str = "1m", file_format: str = "parquet",
    exporter: str | None = None, hostname: str | None = None, tell: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """Record this machine's GPUs into ``out``.

    Args:
        out: a folder; see files.py for what is written there.
        interval, duration, rotate: lengths of time such as ``1s``; without a duration until SIGINT or SIGTERM.
        file_format: exposition, parquet or both.
        exporter: page of a dcgm-exporter that runs here; its profiling ratios are taken where the device has no GPM.
        hostname: what the samples call the machine; its own name where None.
        tell: takes one line of progress at a time.

    Returns looks, missed looks, samples, GPUs and files. Raises NoGpu (exit 2) where there is none, ApportionError where every GPU was lost.
    """
    if file_format not in FORMATS:
        raise UsageError(f"--format {file_format!r} is not known", remedy=f"one of {', '.join(FORMATS)}")
    every, length, turn = (
        seconds_of(interval, "--interval"),
        seconds_of(duration, "--duration") if duration else None,
        seconds_of(rotate, "--rotate"),
    )
    if every < LEAST_INTERVAL_SECONDS:
        raise UsageError(f"--interval {interval} is shorter than {LEAST_INTERVAL_SECONDS} s", remedy="name a longer one")
    name = hostname or socket.gethostname()
    machine = Machine(load_nvml(), name, Owners(name), tell)
    tell(f"recording {len(machine.gpus)} GPUs of {name} every {every:g} s into {out}")
    result = {"gpus": len(machine.gpus), "looks": 0, "missed_looks": 0, "samples": 0}
    extra = _Exporter(exporter, min(every, 5.0), tell) if exporter else None
    try:
        with (
            stopped_by_signals() as stop,
            Recording(out, name, exposition=file_format != "parquet", parquet=file_format != "exposition") as recording,
        ):
            start = time.monotonic()
            turned, tick = start, 0
            while not stop.is_set() and not machine.all_lost and (length is None or tick * every < length):
                readings = machine.look()
                if extra:
                    extra.complete(readings)
                recording.add(readings)
                result["looks"] += 1
                result["samples"] += sum(len(reading.rows()) for reading in readings)
                if time.monotonic() - turned >= turn:
                    recording.rotate()
                    turned = time.monotonic()
                due = max(tick + 1, int((time.monotonic() - start) / every))  # a look that came late is missed, not made up for
                result["missed_looks"] += due - tick - 1
                tick = due
                stop.wait(max(0.0, start + tick * every - time.monotonic()))
            lost = machine.all_lost
        result["files"] = [str(path) for path in recording.files]
    finally:
        machine.close()
    if lost:
        raise ApportionError(
            "every GPU is lost", where=name, remedy=f"see `dmesg` for the driver's Xid; what was recorded until then is in {out}"
        )
    return result


class _Exporter:
    """Profiling ratios of a dcgm-exporter on this machine."""

    def __init__(self, url: str, timeout_seconds: float, tell: Callable[[str], None]) -> None:
        self.url, self.timeout_seconds, self.tell = url, timeout_seconds, tell
        self._failed = False

    def complete(self, readings: list[Reading]) -> None:
        """Add what the exporter has and the device itself has not."""
        try:
            ratios = exporter_ratios(self.url, self.timeout_seconds)
        except (OSError, ValueError) as error:
            if not self._failed:
                self.tell(f"{self.url} does not answer ({error}); profiling ratios are absent until it does")
            self._failed = True
            return
        self._failed = False
        for reading in readings:
            theirs = ratios.get((reading.labels.get("UUID", ""), reading.labels.get("GPU_I_ID", "")), {})
            reading.values = theirs | reading.values


def record_lines(result: dict[str, Any]) -> list[str]:
    """What a recording was, for people."""
    files = result["files"]
    return [
        f"{result['samples']} samples of {result['gpus']} GPUs in {result['looks']} looks ({result['missed_looks']} missed)",
        *(f"  {path}" for path in files[-6:]),
        *([f"  ... and {len(files) - 6} files before"] if len(files) > 6 else []),
    ]
