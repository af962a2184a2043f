"""What a saved pod says, and what an object that may own pods says: SQL over the table ``objects``.

Belongs here: the fields of the API's Pod and of the usual owners, the ways to ask for a GPU or a part of one. Does not: which run a pod
belongs to, when it ended for good (dbt: stg_kubernetes__workload_intervals).
"""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.ingestion.kubernetes_objects import at, json_at, label, quantity, summed, texts_at, time_at
from pipelines.ingestion.records import utc
from pipelines.ingestion.tabular import literal
from pipelines.source import Column, RawTable

SEEN = (
    Column("observed_at", "TIMESTAMP", "When the snapshot or event was taken, UTC; NULL where neither file name nor envelope tells."),
    Column("event", "VARCHAR", "ADDED, MODIFIED or DELETED where a watch told it."),
    Column("is_listed", "BOOLEAN", "Whether it came in a list: a later list without it shows that it is gone."),
    Column("resource_version", "BIGINT", "The API's version of the object."),
)
OWNER = (
    Column("owner_kind", "VARCHAR", "Kind of its controller."),
    Column("owner_name", "VARCHAR", "Name of its controller."),
    Column("owner_uid", "VARCHAR", "Uid of its controller."),
)
PODS = RawTable(
    "pods",
    "One pod as one snapshot or event shows it.",
    (
        *SEEN,
        Column("uid", "VARCHAR", "Pod uid."),
        Column("namespace", "VARCHAR", "Namespace."),
        Column("name", "VARCHAR", "Pod name; names are used again."),
        Column("node_name", "VARCHAR", "Node that it was bound to."),
        *OWNER,
        Column("root_kind", "VARCHAR", "Kind that its labels name as the job or service it is part of."),
        Column("root_name", "VARCHAR", "Name that its labels give that job or service."),
        Column("ray_cluster", "VARCHAR", "Label ray.io/cluster."),
        Column("phase", "VARCHAR", "Phase."),
        Column("reason", "VARCHAR", "Why it ended or is ending: Evicted, OOMKilled, PreemptionByScheduler; NULL where nothing is told."),
        Column("priority_class", "VARCHAR", "Priority class."),
        Column("created_at", "TIMESTAMP", "Creation, UTC."),
        Column("accepted_at", "TIMESTAMP", "status.startTime, UTC: the node took it and set its devices aside."),
        Column("container_started_at", "TIMESTAMP", "First start of a container, UTC; NULL where restarts have hidden it."),
        Column("finished_at", "TIMESTAMP", "When the last container ended, UTC; NULL while one runs."),
        Column("condition_at", "TIMESTAMP", "Last change of a condition of a pod that has succeeded or failed, UTC."),
        Column("deletion_at", "TIMESTAMP", "deletionTimestamp, UTC: the instant by which it is to be gone."),
        Column("gpus", "DOUBLE", "nvidia.com/gpu asked for (slots, where the node shares its GPUs)."),
        Column("gpu_core_percent", "DOUBLE", "nvidia.com/gpucores, in percent of each GPU (HAMi)."),
        Column("gpu_memory_percent", "DOUBLE", "nvidia.com/gpumem-percentage, in percent of each GPU (HAMi)."),
        Column("gpu_memory_mib", "DOUBLE", "nvidia.com/gpumem, MiB of each GPU (HAMi); Run:ai's gpu-memory."),
        Column("gpu_fraction", "DOUBLE", "Run:ai's gpu-fraction, of each of its devices."),
        Column("gpu_fraction_devices", "DOUBLE", "Run:ai's gpu-fraction-num-devices."),
        Column("mig_profile", "VARCHAR", "MIG profile asked for, such as 1g.10gb."),
        Column("mig_instances", "DOUBLE", "Number of MIG instances asked for."),
        Column("gpu_ids", "JSON", "JSON array of GPU uuids that an annotation names (HAMi)."),
        Column("vcpus", "DOUBLE", "CPU requests of its containers."),
        Column("memory_gib", "DOUBLE", "Memory requests of its containers, GiB."),
        Column("labels", "JSON", "JSON object of its labels, and of the chosen environment variables that they lack."),
    ),
)
OWNERS = RawTable(
    "owners",
    "One object that may own pods (Job, ReplicaSet, RayJob, PyTorchJob, StatefulSet and the like), as one snapshot or event shows it.",
    (
        *SEEN,
        Column("uid", "VARCHAR", "Uid."),
        Column("kind", "VARCHAR", "Kind."),
        Column("namespace", "VARCHAR", "Namespace."),
        Column("name", "VARCHAR", "Name."),
        *OWNER,
        Column("job_id", "VARCHAR", "Ray's submission id of a RayJob (status.jobId)."),
        Column("state", "VARCHAR", "State in the words of its kind: Complete, Failed, SUCCEEDED."),
        Column("created_at", "TIMESTAMP", "Creation, UTC."),
        Column("ended_at", "TIMESTAMP", "Completion, UTC; NULL where it tells none."),
        Column("labels", "JSON", "JSON object of its labels."),
    ),
)

# kind -> labels that name the object of that kind that a pod is part of; the first that is set counts
ROOT_LABELS = (
    ("InferenceService", ("serving.kserve.io/inferenceservice",)),
    ("JobSet", ("jobset.sigs.k8s.io/jobset-name",)),
    ("LeaderWorkerSet", ("leaderworkerset.sigs.k8s.io/name",)),
    ("PyTorchJob", ("training.kubeflow.org/job-name", "pytorch-job-name")),
    ("VolcanoJob", ("volcano.sh/job-name",)),
    ("Service", ("serving.knative.dev/service",)),
    ("Notebook", ("notebook-name",)),
    ("Workflow", ("workflows.argoproj.io/workflow",)),
)
_CONTAINERS, _INIT = "$.spec.containers[*].resources", "$.spec.initContainers[*].resources"
_STATUSES = "$.status.containerStatuses[*]"


def seen_fields() -> dict[str, str]:
    """Raw column -> SQL, for the columns in which every table says where an object was seen."""
    return {
        "observed_at": "observed_at",
        "event": "event",
        "is_listed": "list_row IS NOT NULL",
        "resource_version": f"try_cast({at('metadata', 'resourceVersion')} AS BIGINT)",
    }


def owner_fields() -> dict[str, str]:
    """Raw column -> SQL: its controller, else its first owner."""
    controllers = "list_filter(json_extract(o, '$.metadata.ownerReferences[*]'), lambda r: json_extract_string(r, '$.controller') = 'true')"
    owner = f"coalesce(({controllers})[1], json_extract(o, '$.metadata.ownerReferences[0]'))"
    return {f"owner_{field}": f"json_extract_string({owner}, '$.{field}')" for field in ("kind", "name", "uid")}


def pod_fields(environment: Sequence[str]) -> dict[str, str]:
    """Raw column -> SQL over ``objects`` for a pod. ``environment``: names of variables whose literal values are taken as labels."""
    ray = at("metadata", "labels", "ray.io/cluster")
    origin_kind, origin_name = label("ray.io/originated-from-crd"), label("ray.io/originated-from-cr-name")
    kinds = " ".join(f"WHEN {label(*keys)} IS NOT NULL THEN {literal(kind)}" for kind, keys in ROOT_LABELS)
    names = ", ".join(label(*keys) for _, keys in ROOT_LABELS)
    fraction = f"coalesce({at('metadata', 'annotations', 'gpu-fraction')}, {label('gpu-fraction')})"
    devices = f"coalesce({at('metadata', 'annotations', 'gpu-fraction-num-devices')}, {label('gpu-fraction-num-devices')})"
    memory = f"coalesce({at('metadata', 'annotations', 'gpu-memory')}, {label('gpu-memory')})"
    named = f"regexp_extract_all({at('metadata', 'annotations', 'hami.io/vgpu-devices-allocated')}, 'GPU-[0-9A-Fa-f-]+')"
    return {
        **seen_fields(),
        **owner_fields(),
        "uid": at("metadata", "uid"),
        "namespace": at("metadata", "namespace"),
        "name": at("metadata", "name"),
        "node_name": at("spec", "nodeName"),
        "root_kind": f"CASE WHEN {origin_name} IS NOT NULL THEN coalesce({origin_kind}, 'RayCluster') {kinds} END",
        "root_name": f"coalesce({origin_name}, {names})",
        "ray_cluster": ray,
        "phase": at("status", "phase"),
        "reason": _reason(),
        "priority_class": at("spec", "priorityClassName"),
        "created_at": time_at("metadata", "creationTimestamp"),
        "accepted_at": time_at("status", "startTime"),
        "container_started_at": _first_start(),
        "finished_at": _finished(),
        "condition_at": f"CASE WHEN {at('status', 'phase')} IN ('Succeeded', 'Failed') THEN"
        f" list_max(list_transform({texts_at('$.status.conditions[*].lastTransitionTime')}, lambda t: {utc('t')})) END",
        "deletion_at": time_at("metadata", "deletionTimestamp"),
        "gpus": _asked("nvidia.com/gpu", "nvidia.com/gpu.shared"),
        "gpu_core_percent": f"list_max({_quantities('nvidia.com/gpucores')})",
        "gpu_memory_percent": f"list_max({_quantities('nvidia.com/gpumem-percentage')})",
        "gpu_memory_mib": f"coalesce(list_max({_quantities('nvidia.com/gpumem')}), {quantity(memory)})",
        "gpu_fraction": quantity(fraction),
        "gpu_fraction_devices": quantity(devices),
        "mig_profile": f"nullif(regexp_extract({_limits()}, '\"nvidia.com/mig-([^\"]+)\"', 1), '')",
        "mig_instances": f'list_sum(list_transform(regexp_extract_all({_limits()}, \'"nvidia.com/mig-[^"]+": *"?([0-9]+)\', 1),'
        " lambda n: CAST(n AS DOUBLE)))",
        "gpu_ids": f"CASE WHEN len({named}) > 0 THEN CAST(to_json(list_sort(list_distinct({named}))) AS VARCHAR) END",
        "vcpus": summed(f"{_CONTAINERS}.requests.cpu"),
        "memory_gib": f"{summed(f'{_CONTAINERS}.requests.memory')} / {1 << 30}",
        "labels": _labels(environment),
    }


def owner_object_fields() -> dict[str, str]:
    """Raw column -> SQL over ``objects`` for an object that may own pods."""
    done = "list_filter(json_extract(o, '$.status.conditions[*]'), lambda c: json_extract_string(c, '$.status') = 'True'"
    done += " AND json_extract_string(c, '$.type') IN ('Complete', 'Completed', 'Failed', 'Succeeded', 'SuccessCriteriaMet'))"
    last = f"json_extract_string(({done})[-1], '$.lastTransitionTime')"
    states = [at("status", "jobStatus"), at("status", "phase"), f"json_extract_string(({done})[-1], '$.type')"]
    ended = [time_at("status", "completionTime"), time_at("status", "endTime"), utc(last)]
    return {
        **seen_fields(),
        **owner_fields(),
        "uid": at("metadata", "uid"),
        "kind": "kind",
        "namespace": at("metadata", "namespace"),
        "name": at("metadata", "name"),
        "job_id": at("status", "jobId"),
        "state": f"coalesce({', '.join(states)})",
        "created_at": time_at("metadata", "creationTimestamp"),
        "ended_at": f"coalesce({', '.join(ended)})",
        "labels": f"CAST({json_at('metadata', 'labels')} AS VARCHAR)",
    }


def _limits() -> str:
    return f"CAST(json_extract(o, '{_CONTAINERS}.limits') AS VARCHAR)"


def _quantities(resource: str) -> str:
    return f"list_transform({texts_at(_CONTAINERS + f'.limits.{chr(34)}{resource}{chr(34)}')}, lambda v: {quantity('v')})"


def _asked(*resources: str) -> str:
    """SQL: devices of these names: of all containers together, or of the greediest init container where that is more."""
    total = " + ".join(f"coalesce(list_sum({_quantities(r)}), 0)" for r in resources)
    most = ", ".join(f"list_max({_quantities(r).replace(_CONTAINERS, _INIT)})" for r in resources)
    return f"nullif(greatest({total}, {most}), 0)"


def _reason() -> str:
    """SQL: the pod's own reason, a disruption's, else the worst of its containers' (a completed container has none)."""
    disruption = "list_filter(json_extract(o, '$.status.conditions[*]'), lambda c: json_extract_string(c, '$.type') = 'DisruptionTarget'"
    disruption = f"json_extract_string(({disruption} AND json_extract_string(c, '$.status') = 'True'))[1], '$.reason')"
    ended = f"list_filter({texts_at(f'{_STATUSES}.state.terminated.reason')}, lambda r: r <> 'Completed')"
    worst = f"CASE WHEN list_contains({ended}, 'OOMKilled') THEN 'OOMKilled' ELSE list_min({ended}) END"
    return f"coalesce({at('status', 'reason')}, {disruption}, {worst})"


def _first_start() -> str:
    """SQL: the least start that the statuses still show; a container restarted twice or more has forgotten its first."""
    paths = [f"{_STATUSES}.{p}.startedAt" for p in ("state.running", "state.terminated", "lastState.terminated")]
    starts = f"flatten([{', '.join(texts_at(p) for p in paths)}])"
    restarts = f"list_max(list_transform({texts_at(f'{_STATUSES}.restartCount')}, lambda n: try_cast(n AS BIGINT)))"
    return f"CASE WHEN coalesce({restarts}, 0) < 2 THEN list_min(list_transform({starts}, lambda t: {utc('t')})) END"


def _finished() -> str:
    """SQL: the last end, once every container of the pod has ended and none will be started again."""
    ends = texts_at(f"{_STATUSES}.state.terminated.finishedAt")
    over = f"({at('status', 'phase')} IN ('Succeeded', 'Failed') OR {at('metadata', 'deletionTimestamp')} IS NOT NULL)"
    all_ended = f"len({ends}) > 0 AND len({ends}) = json_array_length(o, '$.status.containerStatuses')"
    return f"CASE WHEN {over} AND {all_ended} THEN list_max(list_transform({ends}, lambda t: {utc('t')})) END"


def _labels(environment: Sequence[str]) -> str:
    own = f"CASE WHEN json_type({json_at('metadata', 'labels')}) = 'OBJECT' THEN CAST({json_at('metadata', 'labels')} AS VARCHAR) END"
    if not environment:
        return own
    wanted = ", ".join(literal(name) for name in environment)
    chosen = "list_filter(flatten([json_extract(o, '$.spec.containers[*].env[*]')]), lambda e:"
    chosen += f" json_extract_string(e, '$.name') IN ({wanted}) AND coalesce(json_extract_string(e, '$.value'), '') <> '')"
    pair = "{'k': json_extract_string(e, '$.name'), 'v': json_extract_string(e, '$.value')}"
    pairs = f"list_transform({chosen}, lambda e: {pair})"
    first = f"list_filter({pairs}, lambda p, i: list_position(list_transform({pairs}, lambda q: q.k), p.k) = i)"
    extra = f"CAST(to_json(map_from_entries(list_sort({first}))) AS VARCHAR)"
    return f"CASE WHEN len({chosen}) > 0 THEN CAST(json_merge_patch({extra}, coalesce({own}, '{{}}')) AS VARCHAR) ELSE {own} END"
