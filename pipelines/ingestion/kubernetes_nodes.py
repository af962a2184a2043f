"""What a saved Kubernetes node says of itself: SQL over the table ``objects``.

Belongs here: the fields of the API's Node, the labels that the GPU operator, GKE, EKS, AKS and Karpenter put on it. Does not: which
instant ends a node's validity (dbt: stg_kubernetes__nodes).

Under time-slicing and MPS a node's capacity counts slots (GPUs x replicas), under MIG's single strategy it counts instances: the
physical GPUs are the label nvidia.com/gpu.count, else the capacity divided by what each GPU is told to be cut into.
"""

from __future__ import annotations

from pipelines.ingestion.kubernetes_objects import at, json_at, label, quantity, time_at
from pipelines.ingestion.kubernetes_pods import SEEN, seen_fields
from pipelines.ingestion.tabular import literal
from pipelines.source import Column, RawTable

NODES = RawTable(
    "nodes",
    "One Kubernetes node as one snapshot or event shows it.",
    (
        *SEEN,
        Column("uid", "VARCHAR", "Node uid."),
        Column("hostname", "VARCHAR", "Node name."),
        Column("provider", "VARCHAR", "Who bills it, by spec.providerID: aws, gcp, azure."),
        Column("resource_id", "VARCHAR", "The billed resource, by spec.providerID; the node's name where it has none."),
        Column("gpu_count", "BIGINT", "Physical GPUs."),
        Column("gpu_model", "VARCHAR", "GPU model without the suffixes that sharing adds."),
        Column("gpu_sharing", "VARCHAR", "none, time_slicing, mps or vgpu; NULL where no label tells."),
        Column("gpu_replicas", "BIGINT", "Slots that each GPU is divided into."),
        Column("gpu_memory_mib", "DOUBLE", "Memory of one GPU, MiB (label nvidia.com/gpu.memory)."),
        Column("vcpus", "DOUBLE", "Capacity, CPUs."),
        Column("memory_gib", "DOUBLE", "Capacity, memory in GiB."),
        Column("pool", "VARCHAR", "Node pool or node group."),
        Column("cluster", "VARCHAR", "Cluster, by the settings or its labels."),
        Column("zone", "VARCHAR", "Zone."),
        Column("created_at", "TIMESTAMP", "Creation, UTC."),
        Column("deletion_at", "TIMESTAMP", "deletionTimestamp, UTC."),
        Column("labels", "JSON", "JSON object of its labels."),
        Column("aliases", "JSON", "JSON array of its other host names."),
    ),
)
POOL_LABELS = (
    "eks.amazonaws.com/nodegroup", "alpha.eksctl.io/nodegroup-name", "karpenter.sh/nodepool", "cloud.google.com/gke-nodepool",
    "kubernetes.azure.com/agentpool", "agentpool",
)  # fmt: skip
CLUSTER_LABELS = ("alpha.eksctl.io/cluster-name", "cluster.x-k8s.io/cluster-name", "kubernetes.azure.com/cluster", "cluster")
PRODUCT = "nvidia.com/gpu.product"


def node_fields(cluster: str | None) -> dict[str, str]:
    """Raw column -> SQL over ``objects`` for a node. ``cluster``: the settings' name for this cluster."""
    provider_id = at("spec", "providerID")
    scheme = f"lower(regexp_extract({provider_id}, '^([A-Za-z0-9+.-]+)://', 1))"
    last_part = f"nullif(regexp_extract({provider_id}, '^[A-Za-z0-9+.-]+://.*?([^/]+)/?$', 1), '')"
    addresses = (
        "list_filter(json_extract(o, '$.status.addresses[*]'), lambda a: json_extract_string(a, '$.type') IN ('Hostname', 'InternalDNS'))"
    )
    names = f"list_append(list_transform({addresses}, lambda a: json_extract_string(a, '$.address')), {label('kubernetes.io/hostname')})"
    others = f"list_sort(list_distinct(list_filter({names}, lambda n: n <> {at('metadata', 'name')})))"
    return {
        **seen_fields(),
        "uid": at("metadata", "uid"),
        "hostname": at("metadata", "name"),
        "provider": f"CASE {scheme} WHEN 'gce' THEN 'gcp' ELSE nullif({scheme}, '') END",
        "resource_id": f"coalesce({last_part}, {at('metadata', 'name')})",
        "gpu_count": _physical_gpus(),
        "gpu_model": f"coalesce(regexp_replace({label(PRODUCT)}, '(-SHARED|-MIG-.*)+$', ''), {label('cloud.google.com/gke-accelerator')})",
        "gpu_sharing": _sharing(),
        "gpu_replicas": _replicas(),
        "gpu_memory_mib": quantity(label("nvidia.com/gpu.memory")),
        "vcpus": quantity(at("status", "capacity", "cpu")),
        "memory_gib": f"{quantity(at('status', 'capacity', 'memory'))} / {1 << 30}",
        "pool": label(*POOL_LABELS),
        "cluster": literal(cluster) if cluster else label(*CLUSTER_LABELS),
        "zone": label("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"),
        "created_at": time_at("metadata", "creationTimestamp"),
        "deletion_at": time_at("metadata", "deletionTimestamp"),
        "labels": f"CAST({json_at('metadata', 'labels')} AS VARCHAR)",
        "aliases": f"CASE WHEN len({others}) > 0 THEN CAST(to_json({others}) AS VARCHAR) END",
    }


def _replicas() -> str:
    told = f"try_cast({label('nvidia.com/gpu.replicas', 'cloud.google.com/gke-max-shared-clients-per-gpu')} AS BIGINT)"
    return f"CASE WHEN {told} > 1 THEN {told} END"


def _sharing() -> str:
    told = f"lower({label('nvidia.com/gpu.sharing-strategy', 'cloud.google.com/gke-gpu-sharing-strategy')})"
    return (
        f"CASE WHEN {told} IN ('time-slicing', 'time-sharing') THEN 'time_slicing' WHEN {told} IN ('mps', 'none') THEN {told}"
        f" WHEN {label('nvidia.com/vgpu.present')} = 'true' THEN 'vgpu'"
        f" WHEN {label(PRODUCT)} LIKE '%-SHARED' OR {_replicas()} > 1 THEN 'time_slicing' END"
    )


def _physical_gpus() -> str:
    """SQL: whole GPUs of the machine; 0 where neither label nor capacity speaks of any."""
    count = f"try_cast({label('nvidia.com/gpu.count')} AS BIGINT)"
    capacity = " + ".join(f"coalesce({quantity(at('status', 'capacity', r))}, 0)" for r in ("nvidia.com/gpu", "nvidia.com/gpu.shared"))
    return (
        f"CASE WHEN {label(PRODUCT)} LIKE '%-MIG-%' THEN CAST(ceil({count} / {_instances_of_a_gpu()}) AS BIGINT)"
        f" ELSE coalesce({count}, CAST(ceil(({capacity}) / coalesce({_replicas()}, 1)) AS BIGINT)) END"
    )


def _instances_of_a_gpu() -> str:
    """SQL: how many instances of the product's profile one GPU holds: by compute slices (7; 4 on A30) and by eighths of its memory."""
    product = label(PRODUCT)
    slices = f"try_cast(regexp_extract({product}, '-MIG-([0-9]+)g', 1) AS BIGINT)"
    profile_gb = f"try_cast(regexp_extract({product}, '-MIG-[0-9]+g[.]([0-9]+)gb', 1) AS DOUBLE)"
    gpu_gb = f"try_cast(regexp_extract({product}, '([0-9]+)GB', 1) AS DOUBLE)"
    by_compute = f"CASE WHEN {product} LIKE '%A30%' THEN 4 ELSE 7 END // {slices}"
    by_memory = f"8 // CAST(greatest(round(8 * {profile_gb} / {gpu_gb}), 1) AS BIGINT)"
    return f"greatest(least({by_compute}, coalesce({by_memory}, 8)), 1)"
