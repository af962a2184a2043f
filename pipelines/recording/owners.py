"""Whose process holds a GPU: the pod or the Slurm job that owns a process id.

Belongs here: what the kernel tells of a process under /proc. Does not: the driver's list of processes (nvml.py).

A pod shows in the process' cgroup path (`.../kubepods.slice/.../kubepods-burstable-pod<uid>.slice/cri-containerd-<id>.scope`, cgroup v1 and
v2, systemd and cgroupfs drivers), a Slurm job in its cgroup path (`.../job_123/step_0/...`) or as SLURM_JOB_ID in its environment. Name and
namespace of a pod are not in the cgroup: they come from the environment (POD_NAME, POD_NAMESPACE; else HOSTNAME, which is the
pod's name unless it says otherwise) and from its service account. What this user may not read stays unknown.
"""

from __future__ import annotations

import re
from pathlib import Path

from pipelines.recording.readings import Owner

_POD = re.compile(r"pod([0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})")
_CONTAINER = re.compile(r"(?<![0-9a-f])([0-9a-f]{64})(?![0-9a-f])")
_SLURM = re.compile(r"/job_(\d+)(?:/|$)")
_NAMESPACE = "root/var/run/secrets/kubernetes.io/serviceaccount/namespace"


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


class Owners:
    """Looks owners up, and remembers them as long as the process lives (a process id is used again)."""

    def __init__(self, hostname: str, proc: Path = Path("/proc")) -> None:
        self.hostname, self.proc = hostname, proc
        self._known: dict[int, tuple[str, Owner]] = {}

    def of(self, pid: int) -> Owner:
        """The owner of ``pid``."""
        folder = self.proc / str(pid)
        born = _read(folder / "stat").rpartition(")")[2].split()[19:20]  # field 22: start time, after the name in brackets
        known = self._known.get(pid)
        if known is not None and born and known[0] == born[0]:
            return known[1]
        owner = self._find(folder)
        if born:
            self._known[pid] = (born[0], owner)
        return owner

    def _find(self, folder: Path) -> Owner:
        cgroup = _read(folder / "cgroup")
        environment = dict(entry.split("=", 1) for entry in _read(folder / "environ").split("\0") if "=" in entry)
        pod, container, job = _POD.search(cgroup), _CONTAINER.search(cgroup), _SLURM.search(cgroup)
        uid = pod.group(1).replace("_", "-") if pod else None
        name = environment.get("POD_NAME") or environment.get("HOSTNAME")
        return Owner(
            pod_uid=uid,
            pod=name if uid and name and name != self.hostname else None,  # on the host's network HOSTNAME is the node's name
            namespace=(environment.get("POD_NAMESPACE") or _read(folder / _NAMESPACE).strip() or None) if uid else None,
            slurm_job_id=job.group(1) if job else environment.get("SLURM_JOB_ID") or None,
            container_id=container.group(1) if container else None,
        )
