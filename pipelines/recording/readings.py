"""What one look at the GPUs yields, in plain values.

Belongs here: the shapes that the driver's side (nvml.py) hands to the files' side (files.py), and the names they get there. Does
not: the driver, files. A value that the driver does not give is absent, never 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field

# dcgm-exporter's metric names, their Prometheus type, and how many decimals it prints
METRICS: dict[str, tuple[str, str]] = {
    "DCGM_FI_DEV_GPU_UTIL": ("gauge", "GPU utilization (in %)."),
    "DCGM_FI_DEV_FB_USED": ("gauge", "Framebuffer memory used (in MiB)."),
    "DCGM_FI_DEV_FB_FREE": ("gauge", "Framebuffer memory free (in MiB)."),
    "DCGM_FI_DEV_FB_RESERVED": ("gauge", "Framebuffer memory reserved (in MiB)."),
    "DCGM_FI_DEV_POWER_USAGE": ("gauge", "Power draw (in W)."),
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": ("counter", "Total energy consumption since the driver was loaded (in mJ)."),
    "DCGM_FI_DEV_SM_CLOCK": ("gauge", "SM clock frequency (in MHz)."),
    "DCGM_FI_DEV_GPU_TEMP": ("gauge", "GPU temperature (in C)."),
    "DCGM_FI_PROF_GR_ENGINE_ACTIVE": ("gauge", "Ratio of time the graphics engine is active."),
    "DCGM_FI_PROF_SM_ACTIVE": ("gauge", "Ratio of cycles an SM has at least 1 warp assigned."),
    "DCGM_FI_PROF_SM_OCCUPANCY": ("gauge", "Ratio of warps resident on an SM."),
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": ("gauge", "Ratio of cycles the tensor pipe is active."),
    "DCGM_FI_PROF_DRAM_ACTIVE": ("gauge", "Ratio of cycles the device memory interface is active."),
}
PROFILING = tuple(name for name in METRICS if name.startswith("DCGM_FI_PROF_"))
# dcgm-exporter's labels, in its order; the last four only where a process' owner is known
LABELS = (
    "gpu", "UUID", "pci_bus_id", "device", "modelName", "GPU_I_PROFILE", "GPU_I_ID", "Hostname", "DCGM_FI_DRIVER_VERSION",
    "namespace", "pod", "pod_uid", "hpc_job",
)  # fmt: skip


@dataclass(frozen=True)
class Owner:
    """Whose process it is; every field None where it cannot be read."""

    pod_uid: str | None = None
    pod: str | None = None
    namespace: str | None = None
    slurm_job_id: str | None = None
    container_id: str | None = None

    def labels(self) -> dict[str, str]:
        """The labels that dcgm-exporter would give the GPU's samples; {} where neither a pod nor a job is known."""
        found = {"namespace": self.namespace, "pod": self.pod, "pod_uid": self.pod_uid, "hpc_job": self.slurm_job_id}
        return {name: value for name, value in found.items() if value} if self.pod or self.pod_uid or self.slurm_job_id else {}


@dataclass(frozen=True)
class Process:
    """One process on one GPU (or MIG instance) at one instant."""

    pid: int
    kind: str  # compute | graphics
    used_memory_bytes: int | None
    sm_util_percent: int | None
    owner: Owner


@dataclass
class Reading:
    """One GPU, or one MIG instance of it, at one instant: dcgm-exporter's labels and metrics, and its processes."""

    at_ms: int  # since 1970 UTC
    labels: dict[str, str]
    values: dict[str, float | int] = field(default_factory=dict)
    processes: list[Process] = field(default_factory=list)

    def rows(self) -> list[dict[str, str]]:
        """Label sets of the reading: one, or one for each owner (a copy of the device's values for each, as dcgm-exporter has it)."""
        owners = sorted({tuple(sorted(p.owner.labels().items())) for p in self.processes if p.owner.labels()})
        return [{**self.labels, **dict(owner)} for owner in owners] or [dict(self.labels)]
