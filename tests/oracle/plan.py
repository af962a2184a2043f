"""What a generated cluster is: the plan objects that generate.py makes, files.py writes as inputs, and oracle.py judges.

Belongs here: the facts and nothing derived from them. Times are whole UTC seconds since 1970 unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Gpu:
    """One physical GPU. ``uuid`` or ``pci`` may be unknown to telemetry (then ''); ``index`` is always known."""

    uuid: str
    index: int
    pci: str
    model: str = "NVIDIA A100"

    @property
    def key(self) -> str:
        """The name by which GPUs of a node are put in order: uuid, else PCI bus id, else index."""
        return (self.uuid or self.pci or str(self.index)).lower()

    def names(self) -> set[str]:
        """Every name an interval may use, in one spelling (a PCI bus id without its leading zeros)."""
        return {n for n in (self.uuid.lower(), self.pci.lower().lstrip("0"), str(self.index)) if n}


@dataclass(frozen=True)
class Node:
    """One billed machine under one host name. ``validity``: stretches in which the inventory has it; () = no times given.
    ``is_known``: the inventory has it (else only telemetry tells of it)."""

    hostname: str
    resource_id: str
    gpus: tuple[Gpu, ...]
    gpu_count: int
    validity: tuple[tuple[int | None, int | None], ...] = ()
    lists_gpus: bool = False
    is_known: bool = True
    gpu_model: str = "NVIDIA A100"
    vcpus: str = "96"
    memory_gib: str = "1152"
    pool: str = "pool"
    provider: str = ""  # '': a provider of its own, the cluster's name
    gpu_sharing: str = ""
    gpu_replicas: int | None = None
    labels: str = ""  # JSON object
    zone: str = ""
    cluster: str = ""


@dataclass(frozen=True)
class Charge:
    """One bill row. Money and usage (hours) are decimal text as delivered; ``hour`` is the start of the usage hour."""

    resource_id: str
    hour: int
    line_type: str = "Usage"
    usage_type: str = "BoxUsage:p4d.24xlarge"
    operation: str = "RunInstances"
    usage_hours: str = "1"
    unblended: str = "0"
    plan_effective: str = ""
    list_cost: str = ""

    @property
    def bucket(self) -> tuple[str, int, str, str]:
        """The charges that attribution cannot tell apart."""
        return (self.resource_id, self.hour, self.line_type, self.usage_type)

    @property
    def is_compute(self) -> bool:
        """Whether the row is the price of the machine itself."""
        return self.operation == "RunInstances" and self.line_type in ("Usage", "SavingsPlanCoveredUsage")


@dataclass(frozen=True)
class Sample:
    """One telemetry sample of one GPU. Activity values are text as exported ('' = the metric is absent)."""

    micros: int
    hostname: str
    uuid: str
    index: str
    pci: str
    exporter: str = ""
    namespace: str = ""
    pod: str = ""
    pod_uid: str = ""
    hpc_job: str = ""
    sm_active: str = ""
    gr_engine_active: str = ""
    gpu_util: str = ""
    fb_used_mib: str = ""
    power_w: str = ""
    energy_mj: str = ""
    gpu_model: str = ""
    mig_profile: str = ""
    mig_instance_id: str = ""
    vgpu: str = ""
    exported_namespace: str = ""
    exported_pod: str = ""
    container: str = ""


@dataclass(frozen=True)
class Interval:
    """One stint of one attempt on one machine."""

    workload_id: str
    attempt_id: str
    start: int
    end: int | None
    hostname: str
    gpu_ids: tuple[str, ...] = ()
    gpu_count: int | str | None = None  # text for a fraction: '0.25'
    namespace: str = ""
    pod: str = ""
    pod_uid: str = ""
    hpc_job: str = ""
    workload_type: str = "training_run"
    state: str = "Running"
    labels: str = ""  # JSON object
    vcpus: str = ""
    memory_gib: str = ""
    parent_workload_id: str = ""

    @property
    def workload_key(self) -> str:
        return f"{self.workload_type}/{self.workload_id}"

    @property
    def attempt_key(self) -> str:
        return f"{self.workload_type}/{self.workload_id}/{self.attempt_id}"


@dataclass(frozen=True)
class SharingRule:
    """One entry of the policy's ``sharing``; '' matches every node. Days are ISO dates, ``valid_to`` exclusive."""

    strategy: str
    pool: str = ""
    hostname: str = ""
    replicas: int | None = None
    split: str = "evenly"
    valid_from: str = ""
    valid_to: str = ""

    def holds_on(self, date: str) -> bool:
        """Whether the rule is valid on the ISO date."""
        return self.valid_from <= date and (not self.valid_to or date < self.valid_to)


@dataclass(frozen=True)
class NodeSplitRule:
    """One entry of the policy's ``node_split``; '' matches every node. Days are ISO dates, ``valid_to`` exclusive."""

    method: str
    pool: str = ""
    provider: str = ""
    valid_from: str = ""
    valid_to: str = ""

    def holds_on(self, date: str) -> bool:
        """Whether the rule is valid on the ISO date."""
        return self.valid_from <= date and (not self.valid_to or date < self.valid_to)


@dataclass
class Cluster:
    """A small world of its own: its host names, resources, runs and pods occur in no other cluster. So do the pools of its rules, which
    are part of the one policy of the night."""

    name: str
    slot_seconds: int = 30
    shape: str = "wide_csv"
    nodes: list[Node] = field(default_factory=list)
    charges: list[Charge] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    intervals: list[Interval] = field(default_factory=list)
    sharing: list[SharingRule] = field(default_factory=list)
    node_split: list[NodeSplitRule] = field(default_factory=list)
