"""Whose process it is: cgroups of both versions, Slurm, and what may not be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.recording.owners import Owners
from pipelines.recording.readings import Owner, Process, Reading

UID = "0a1b2c3d-1111-2222-3333-444455556666"
ID = "ab" * 32
V2 = f"0::/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod{UID.replace('-', '_')}.slice/cri-containerd-{ID}.scope\n"
V1 = f"11:devices:/kubepods/besteffort/pod{UID}/{ID}\n1:name=systemd:/kubepods/besteffort/pod{UID}/{ID}\n"


def process(proc: Path, pid: int, cgroup: str, environment: str = "", born: int = 100) -> None:
    folder = proc / str(pid)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cgroup").write_text(cgroup)
    (folder / "environ").write_text(environment)
    (folder / "stat").write_text(f"{pid} (a b) c) S " + " ".join(["0"] * 18) + f" {born} 0\n")


@pytest.mark.parametrize(
    ("cgroup", "environment", "owner"),
    [
        (V2, "HOSTNAME=train-0\0", Owner(pod_uid=UID, pod="train-0", container_id=ID)),
        (V1, "POD_NAME=train-1\0POD_NAMESPACE=ml\0HOSTNAME=x\0", Owner(pod_uid=UID, pod="train-1", namespace="ml", container_id=ID)),
        (V2, "HOSTNAME=node-7\0", Owner(pod_uid=UID, container_id=ID)),  # on the host's network: the node's name is no pod's
        (V2, "", Owner(pod_uid=UID, container_id=ID)),
        ("0::/system.slice/slurmstepd.scope/job_123/step_0/user/task_0\n", "", Owner(slurm_job_id="123")),
        ("8:memory:/slurm/uid_1000/job_77/step_batch\n", "SLURM_JOB_ID=78\0", Owner(slurm_job_id="77")),
        ("0::/user.slice\n", "SLURM_JOB_ID=78\0SECRET=x\0", Owner(slurm_job_id="78")),
        ("0::/user.slice/user-1000.slice\n", "HOSTNAME=laptop\0", Owner()),
    ],
)
def test_owner(tmp_path: Path, cgroup: str, environment: str, owner: Owner) -> None:
    process(tmp_path, 5, cgroup, environment)
    assert Owners("node-7", tmp_path).of(5) == owner


def test_namespace_of_the_service_account(tmp_path: Path) -> None:
    process(tmp_path, 5, V2, "HOSTNAME=train-0\0")
    account = tmp_path / "5/root/var/run/secrets/kubernetes.io/serviceaccount"
    account.mkdir(parents=True)
    (account / "namespace").write_text("research\n")
    assert Owners("n", tmp_path).of(5).namespace == "research"


def test_a_process_id_used_again_is_another_process(tmp_path: Path) -> None:
    owners = Owners("n", tmp_path)
    assert owners.of(5) == Owner()  # gone, or not ours to read: unknown
    process(tmp_path, 5, "0::/job_1/step_0\n", born=100)
    assert owners.of(5).slurm_job_id == "1"
    process(tmp_path, 5, "0::/job_2/step_0\n", born=100)
    assert owners.of(5).slurm_job_id == "1", "the same process, remembered"
    process(tmp_path, 5, "0::/job_2/step_0\n", born=200)
    assert owners.of(5).slurm_job_id == "2"


def test_a_shared_gpu_has_a_row_for_each_owner() -> None:
    """As dcgm-exporter has it: each owner's row carries a copy of the device's values; a process without an owner adds none."""
    held = [Process(n, "compute", None, None, Owner(slurm_job_id=job)) for n, job in enumerate(["2", "1", "2", None])]
    reading = Reading(0, {"gpu": "0"}, {}, held)
    assert reading.rows() == [{"gpu": "0", "hpc_job": "1"}, {"gpu": "0", "hpc_job": "2"}]
    assert Reading(0, {"gpu": "0"}, {}, held[3:]).rows() == [{"gpu": "0"}]
