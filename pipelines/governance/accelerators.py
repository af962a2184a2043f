"""What GPU models can do: memory, throughput, whether they can be cut by MIG. Levers compare workloads with it.

Belongs here: the vendor's data sheets as values, the schema of an own entry, the relation that SQL reads. Does not: prices (`price_list`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal

import duckdb
from pydantic import BaseModel, ConfigDict, Field

from pipelines.price_list import model_words
from pipelines.rules import write_relation


class Accelerator(BaseModel):
    """One GPU model: its memory in GiB (the smallest variant, where a name has several), its dense FP16 tensor throughput, and MIG."""

    model_config = ConfigDict(extra="forbid")

    gpu_model: str = Field(min_length=1)
    memory_gib: Decimal = Field(gt=0, decimal_places=3)
    fp16_tflops: Decimal = Field(gt=0, decimal_places=3)
    has_mig: bool = False


def _known(gpu_model: str, memory_gib: int, fp16_tflops: int, *, has_mig: bool = False) -> Accelerator:
    return Accelerator(gpu_model=gpu_model, memory_gib=Decimal(memory_gib), fp16_tflops=Decimal(fp16_tflops), has_mig=has_mig)


# NVIDIA's data sheets: dense FP16 tensor throughput of the SXM board where there is one
KNOWN: tuple[Accelerator, ...] = (
    _known("T4", 16, 65),
    _known("V100", 16, 125),
    _known("A10", 24, 125),
    _known("A10G", 24, 70),
    _known("L4", 24, 121),
    _known("L40S", 48, 362),
    _known("A40", 48, 150),
    _known("A30", 24, 165, has_mig=True),
    _known("A100", 40, 312, has_mig=True),
    _known("H100", 80, 989, has_mig=True),
    _known("GH200", 96, 989, has_mig=True),
    _known("H200", 141, 989, has_mig=True),
    _known("B200", 180, 2250, has_mig=True),
)


def merged(known: Iterable[Accelerator], own: Iterable[Accelerator]) -> list[Accelerator]:
    """``known`` with ``own`` entries in place of those of the same name, by name."""
    by_name = {model_words(entry.gpu_model): entry for entry in [*known, *own]}
    return [by_name[name] for name in sorted(by_name)]


def write_accelerators(connection: duckdb.DuckDBPyConnection, entries: Sequence[Accelerator]) -> None:
    """Replace ``policy.lever_accelerators``: name in words, memory in KiB, throughput in GFLOPS."""
    rows = [(model_words(e.gpu_model), int(e.memory_gib * 1024 * 1024), int(e.fp16_tflops * 1000), e.has_mig) for e in entries]
    write_relation(connection, "lever_accelerators", "gpu_model varchar, memory_kib bigint, fp16_gflops bigint, has_mig boolean", rows)
