"""This machine's GPUs through NVML, the driver's own library.

Belongs here: every call to NVML, and which of them a device may lack. Does not: files, owners of processes (owners.py), GPM's two
samples (profiling.py).

A call that the device does not support leaves its value out, for good; a call that fails once leaves it out once. A GPU that falls
off the bus is told once and has no samples any more: what it does then is unknown, not 0. Under MIG each instance is read on its own
and carries its GPU's power, energy, clock and temperature, as dcgm-exporter has it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from types import ModuleType
from typing import Any

from pipelines.errors import EXIT_USAGE, ApportionError
from pipelines.recording.owners import Owners
from pipelines.recording.profiling import Gpm
from pipelines.recording.readings import Process, Reading

MIB = 1 << 20
_PROFILE = re.compile(r"\bMIG\s+(\S+)\s*$")


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


class NoGpu(ApportionError):
    """There is nothing to record on this machine."""

    exit_code = EXIT_USAGE


def load_nvml() -> ModuleType:
    """NVML, initialised. Raises NoGpu with the remedy where the binding, the driver or a GPU is missing."""
    try:
        import pynvml
    except ImportError:
        raise NoGpu("the NVML binding is not installed", remedy="install it: pip install 'apportion[record]'") from None
    try:
        pynvml.nvmlInit()
        count = pynvml.nvmlDeviceGetCount()
    except pynvml.NVMLError as error:
        raise NoGpu(
            f"no NVIDIA driver answers on this machine ({error})",
            remedy="run it where `nvidia-smi` works; in a container, give it the driver (--gpus all, or the NVIDIA runtime)",
        ) from None
    if count == 0:
        pynvml.nvmlShutdown()
        raise NoGpu("this machine has no NVIDIA GPU that the driver shows", remedy="run it where `nvidia-smi -L` lists a GPU")
    return pynvml


class Machine:
    """The GPUs of this machine. ``look()`` reads them all."""

    def __init__(self, nvml: ModuleType, hostname: str, owners: Owners, tell: Callable[[str], None]) -> None:
        self.nvml, self.owners, self.tell = nvml, owners, tell
        driver = nvml.nvmlSystemGetDriverVersion()
        self.gpus = [
            Gpu(self, index, {"Hostname": hostname, "DCGM_FI_DRIVER_VERSION": driver}) for index in range(nvml.nvmlDeviceGetCount())
        ]

    def look(self) -> list[Reading]:
        """A reading of every GPU that is there, and of each of its MIG instances."""
        readings: list[Reading] = []
        for gpu in self.gpus:
            if gpu.lost:
                continue
            try:
                readings += gpu.look()
            except self.nvml.NVMLError as error:
                gpu.lost = True
                self.tell(f"GPU {gpu.labels['gpu']} ({gpu.labels.get('UUID', 'no UUID')}) is lost: {error}; it is not recorded any further")
        return readings

    @property
    def all_lost(self) -> bool:
        """Whether no GPU is left."""
        return all(gpu.lost for gpu in self.gpus)

    def close(self) -> None:
        """Let the driver go."""
        for gpu in self.gpus:
            gpu.close()
        self.nvml.nvmlShutdown()


class Gpu:
    """One physical GPU."""

    def __init__(self, machine: Machine, index: int, labels: dict[str, str]) -> None:
        self.machine, self.nvml = machine, machine.nvml
        self.lost = False
        self._unsupported: set[str] = set()
        self._gpm: dict[int | None, Gpm] = {}
        self._seen_us = 0
        self.labels = {"gpu": str(index), **labels}
        try:
            self.handle = self.nvml.nvmlDeviceGetHandleByIndex(index)
            self.labels |= self._names()
        except self.nvml.NVMLError as error:
            self.lost = True
            machine.tell(f"GPU {index} cannot be opened: {error}; it is not recorded")

    def _names(self) -> dict[str, str]:
        minor = self._ask("nvmlDeviceGetMinorNumber", self.handle)
        named = {
            "UUID": self._ask("nvmlDeviceGetUUID", self.handle),
            "pci_bus_id": getattr(self._ask("nvmlDeviceGetPciInfo", self.handle), "busId", None),
            "device": None if minor is None else f"nvidia{minor}",
            "modelName": self._ask("nvmlDeviceGetName", self.handle),
        }
        return {name: _text(value) for name, value in named.items() if value}

    def _ask(self, call: str, *arguments: Any, key: str | None = None) -> Any:
        """The answer of an NVML call; None where there is none. Raises NVMLError where the GPU is gone."""
        name = key or call
        if name in self._unsupported:
            return None
        try:
            return getattr(self.nvml, call)(*arguments)
        except self.nvml.NVMLError as error:
            if error.value in (self.nvml.NVML_ERROR_GPU_IS_LOST, self.nvml.NVML_ERROR_UNINITIALIZED):
                raise
            if error.value in (self.nvml.NVML_ERROR_NOT_SUPPORTED, self.nvml.NVML_ERROR_FUNCTION_NOT_FOUND):
                self._unsupported.add(name)
            return None

    def look(self) -> list[Reading]:
        """The GPU's reading, or under MIG one of each instance. Raises NVMLError where the GPU is gone."""
        at_ms = time.time_ns() // 1_000_000
        device = self._device_values()
        instances = self._instances()
        self._forget({instance_id for instance_id, _, _ in instances} or {None})
        if not instances:
            values = device | self._memory(self.handle) | self._profiling(None)
            utilization = self._ask("nvmlDeviceGetUtilizationRates", self.handle)
            if utilization is not None:
                values["DCGM_FI_DEV_GPU_UTIL"] = int(utilization.gpu)
            return [Reading(at_ms, dict(self.labels), values, self._processes(self.handle))]
        return [
            Reading(
                at_ms,
                self.labels | {"GPU_I_PROFILE": profile, "GPU_I_ID": str(instance_id)},
                device | self._memory(handle) | self._profiling(instance_id),
                self._processes(handle, under_mig=True),
            )
            for instance_id, profile, handle in instances
        ]

    def _device_values(self) -> dict[str, float | int]:
        milliwatts = self._ask("nvmlDeviceGetPowerUsage", self.handle)
        found = {
            "DCGM_FI_DEV_POWER_USAGE": None if milliwatts is None else milliwatts / 1000,
            "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": self._ask("nvmlDeviceGetTotalEnergyConsumption", self.handle),
            "DCGM_FI_DEV_SM_CLOCK": self._ask("nvmlDeviceGetClockInfo", self.handle, self.nvml.NVML_CLOCK_SM),
            "DCGM_FI_DEV_GPU_TEMP": self._ask("nvmlDeviceGetTemperature", self.handle, self.nvml.NVML_TEMPERATURE_GPU),
        }
        return {name: value for name, value in found.items() if value is not None}

    def _memory(self, handle: Any) -> dict[str, float | int]:
        memory = self._ask("nvmlDeviceGetMemoryInfo", handle, self.nvml.nvmlMemory_v2, key="memory_v2")
        if memory is None:  # a driver before 510: reserved memory counts as used there
            memory = self._ask("nvmlDeviceGetMemoryInfo", handle)
        parts = {"DCGM_FI_DEV_FB_USED": "used", "DCGM_FI_DEV_FB_FREE": "free", "DCGM_FI_DEV_FB_RESERVED": "reserved"}
        return {name: int(getattr(memory, part)) // MIB for name, part in parts.items() if hasattr(memory, part)}

    def _profiling(self, instance_id: int | None) -> dict[str, float]:
        gpm = self._gpm.setdefault(instance_id, Gpm(self.nvml, self.handle, instance_id))
        try:
            return gpm.look()
        except self.nvml.NVMLError as error:
            if error.value == self.nvml.NVML_ERROR_GPU_IS_LOST:
                raise
            return {}

    def _instances(self) -> list[tuple[int, str, Any]]:
        """(GPU instance id, profile, handle) of each MIG instance."""
        mode = self._ask("nvmlDeviceGetMigMode", self.handle)
        if not mode or mode[0] != self.nvml.NVML_DEVICE_MIG_ENABLE:
            return []
        found = {}
        for place in range(self._ask("nvmlDeviceGetMaxMigDeviceCount", self.handle) or 0):
            handle = self._ask("nvmlDeviceGetMigDeviceHandleByIndex", self.handle, place)
            instance_id = None if handle is None else self._ask("nvmlDeviceGetGpuInstanceId", handle)
            if instance_id is not None:  # several compute instances of one GPU instance: the GPU instance counts
                found.setdefault(instance_id, (instance_id, self._profile(handle), handle))
        return [found[instance_id] for instance_id in sorted(found)]

    def _profile(self, handle: Any) -> str:
        named = _PROFILE.search(self._ask("nvmlDeviceGetName", handle, key="mig_name") or "")
        if named:
            return named.group(1).rpartition("c.")[2] if "c." in named.group(1) else named.group(1)  # 1c.3g.40gb is part of 3g.40gb
        has = self._ask("nvmlDeviceGetAttributes", handle)
        return f"{has.gpuInstanceSliceCount}g.{round(has.memorySizeMB / 1024)}gb" if has is not None else ""

    def _processes(self, handle: Any, *, under_mig: bool = False) -> list[Process]:
        busy = {} if under_mig else self._process_utilization()
        found: dict[int, Process] = {}
        for kind, call in (("compute", "nvmlDeviceGetComputeRunningProcesses"), ("graphics", "nvmlDeviceGetGraphicsRunningProcesses")):
            for process in self._ask(call, handle) or []:
                memory = process.usedGpuMemory
                found.setdefault(
                    process.pid,
                    Process(
                        process.pid,
                        kind,
                        None if memory is None else int(memory),
                        busy.get(process.pid),
                        self.machine.owners.of(process.pid),
                    ),
                )
        return [found[pid] for pid in sorted(found)]

    def _process_utilization(self) -> dict[int, int]:
        """Each process' latest SM utilization since the last look, in percent; the driver does not tell it under MIG."""
        latest: dict[int, tuple[int, int]] = {}
        for sample in self._ask("nvmlDeviceGetProcessUtilization", self.handle, self._seen_us) or []:
            if 0 <= sample.smUtil <= 100 and sample.timeStamp >= latest.get(sample.pid, (0, 0))[0]:
                latest[sample.pid] = (sample.timeStamp, sample.smUtil)
        self._seen_us = max([self._seen_us, *(at for at, _ in latest.values())])
        return {pid: percent for pid, (_, percent) in latest.items()}

    def _forget(self, present: set[int | None]) -> None:
        """Let the profiling samples of instances that are gone go."""
        for instance_id in set(self._gpm) - present:
            self._gpm.pop(instance_id).close()

    def close(self) -> None:
        """Give the driver's memory back."""
        self._forget(set())
