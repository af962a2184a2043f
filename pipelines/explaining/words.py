"""What placed a dollar, in words: one small table of texts, and the sentences made of them.

Belongs here: wording, and the entry of DECISIONS.md that settles it (by title: a test looks each up). Does not: any figure.
"""

from __future__ import annotations

import json
from typing import Any

from pipelines.policy import Policy

# evidence -> what showed to whom the dollars belong, and the decision behind it
EVIDENCE: dict[str, tuple[str, str | None]] = {
    "interval": ("an interval of the workload names this GPU", "Who holds a GPU"),
    "label": ("the label of the telemetry's samples names the workload", "Who holds a GPU"),
    "label_chosen": ("an interval with a GPU count, whose label appeared on this GPU", "Who holds a GPU"),
    "whole_node": ("an interval whose count is all GPUs of the node", "Who holds a GPU"),
    "count_only": ("an interval says how many GPUs, nothing says which: taken from what was free", "Who holds a GPU"),
    "mixed": ("several kinds of evidence within the window (interval, label, count)", "Who holds a GPU"),
    "holder": ("carried by whoever held the node's GPUs, by their GPU time", "Node price"),
    "cpu_request": (
        "asked for vCPUs and memory of a GPU node and for no GPU: its part of the host",
        "Workloads without a GPU on GPU nodes",
    ),
    "tag": ("an exact tag of the charge", None),
    "distribution": ("a distribution rule of the policy", None),
    "none": ("", None),  # the class and the reason say it
}
METHODS: dict[str, tuple[str, str | None]] = {
    "gpu_only": ("the node's whole price lies on its GPUs (gpu_only)", "Node price"),
    "weights_9_1": ("the node's price is split 9 : 0.9 : 0.1 per GPU, vCPU and GB (weights_9_1)", "Node price"),
    "base_price": ("the node's price is split by base prices per GPU, vCPU and GB (base_price)", "Node price"),
    "fixed_95_3_2": ("95 % of the node's price lies on its GPUs, 3 % on processors, 2 % on memory (fixed_95_3_2)", "Node price"),
    "price_list": (
        "the node's price is split by your own price list per GPU model, vCPU and GiB (price_list)",
        "Split methods by pool, and from your price list",
    ),
    "even": ("in equal parts", None),
    "cost": ("by the recipients' own effective cost of the day", None),
    "gpu_hours": ("by the recipients' own GPU time of the day", None),
    "fixed": ("by the shares that the rule states", None),
}
SHARING = {
    "mig": "a MIG instance", "time_slicing": "time slicing", "mps": "MPS", "vgpu": "virtual GPUs", "fractional": "requests for parts of the GPU",
}  # fmt: skip
RUNGS = {
    "sm_active": "SM activity", "gr_engine_active": "graphics-engine activity", "gpu_util": "GPU utilization",
    "mixed": "several activity metrics",
}  # fmt: skip
CLASSES: dict[str, tuple[str, str | None]] = {
    "used": ("held and active: held time x measured activity", "What a sample says, and for whom"),
    "held_idle": ("held, but not active", "What a sample says, and for whom"),
    "unallocated_idle": ("held by nobody, observed at rest: it is the pool owner's", None),
    "stranded": ("GPU slices outside any MIG instance that no profile fits", "MIG by time"),
    "unknown": ("missing telemetry is unknown, never idle", None),
    "not_measured": ("no GPU time", None),
    "unused_commitment": ("a commitment's fee that no usage took", None),
    "commitment_true_up": ("what a commitment's up-front fee is amortised to, against what was invoiced", None),
    "tax_and_fees": ("tax, support and fees", None),
    "credit": ("a credit of the bill", None),
    "rounding": ("the bill's own rounding", None),
    "quarantined": ("readable money on a row that cannot be read otherwise", None),
    "unattributed": ("reached no workload", None),
}
KNOWN_REASONS = {
    "no_samples": "GPU billed, nobody known to hold it, no telemetry",
    "no_activity_value": "GPU observed, but no sample had a usable activity value",
    "shared_unlabelled": "part of a shared GPU beside a labelled one: a label may be missing",
    "active_unlabelled": "GPU busy, but no label or interval says for whom",
    "node_without_telemetry": "node billed without any telemetry or interval in that hour",
    "node_not_in_inventory": "GPU instance that the inventory does not know",
    "no_run_or_endpoint_tag": "tagged with a team or project only, and no rule distributes it",
    "untagged": "no tag that the policy knows",
    "kube_unallocated": "no pod of the cluster asked for it",
    "kube_system_overhead": "the cluster's own system",
    "billed_window_mismatch": "billed longer than the inventory says the node existed",
}
REASONS: dict[str, tuple[str, str | None]] = {
    **{reason: (text, None) for reason, text in KNOWN_REASONS.items()},
    "count_only": ("only a GPU count is known: activity cannot be told apart", "Who holds a GPU"),
    "outside_any_instance": ("outside any MIG instance", "MIG by time"),
    "profile_fits": ("outside any MIG instance, and an instance still fits there", "MIG by time"),
    "unrequested_share": ("a part of a shared GPU that nobody asked for", "Sharing is declared"),
    "shared_unlabelled": (KNOWN_REASONS["shared_unlabelled"], "Sharing is declared"),
    "no_process": ("the memory in use says that no process was on it", "Why held time idled"),
    "low_activity": ("a process was on it and waited", "Why held time idled"),
    "process_unknown": ("no sample tells the memory in use", "Why held time idled"),
    "node_without_telemetry": (KNOWN_REASONS["node_without_telemetry"], "A node that nothing explains"),
    "no_run_or_endpoint_tag": (KNOWN_REASONS["no_run_or_endpoint_tag"], "Team tags without a rule"),
    "billed_window_mismatch": (KNOWN_REASONS["billed_window_mismatch"], "Where billed seconds lie"),
}
WEIGHTS = "Splitting a charge: largest remainder on the magnitude"  # the decision on every row that shares its bucket


def decisions() -> set[str]:
    """Every title of DECISIONS.md that an explanation names."""
    tables = (EVIDENCE, METHODS, CLASSES, REASONS)
    return {WEIGHTS, *(title for table in tables for _, title in table.values() if title)}


def placement(row: dict[str, Any], policy: Policy | None) -> str:
    """Which rule and evidence placed a row, in one sentence. ``policy``: the release's own, or None where it has changed since."""
    parts, titles = [], []

    def say(text: str, title: str | None = None) -> None:
        if text:
            parts.append(text)
        if title and title not in titles:
            titles.append(title)

    if row["stage"] == "distributed":
        say(f"distribution rule {row['rule_id']} {'gave' if row['is_received'] else 'took'} this" + rule_words(row["rule_id"], policy))
        if row["is_received"] and row["method_id"] in METHODS:
            say(METHODS[row["method_id"]][0])
        return "; ".join(parts)
    say(*_told(CLASSES, row["cost_class"]))
    say(*_told(EVIDENCE, row["evidence"]))
    if row["reason"]:
        say(*_told(REASONS, row["reason"]))
    if row["activity_rung"]:
        say(f"activity by {RUNGS.get(row['activity_rung'], row['activity_rung'])} ({row['activity_rung']})")
    if row["sharing"] in SHARING:
        measured = "; the driver cannot tell their activity apart, it is the device's" if row["is_unmeasured"] else ""
        say(f"the GPU was shared: {SHARING[row['sharing']]}{measured}", "Sharing is declared" if row["sharing"] != "mig" else "MIG by time")
    if row["method_id"]:
        say(*_told(METHODS, row["method_id"]))
    if row["component"] == "host":
        say("the host's part, by the GPU time on it")
    named = f" [DECISIONS: {'; '.join(titles)}]" if titles else ""
    return f"route {row['route']}: {'; '.join(parts)}{named}"


def rule_words(rule_id: str, policy: Policy | None) -> str:
    """What a distribution rule asks for and gives by, as the policy states it."""
    if policy is None:
        return " (the policy has changed since this release: its conditions are not known here)"
    rule = next((r for r in policy.distribution if r.id == rule_id), None)
    if rule is None:
        return " (not in the policy file)"
    match = " and ".join(f"{column} is {' or '.join(wanted)}" for column, wanted in rule.match.items())
    within = f" of the same {', '.join(rule.within)}" if rule.within else ""
    stated = f" ({', '.join(f'{key}: {share.normalize():f}' for key, share in rule.shares.items())})" if rule.shares else ""
    return f" (dollars without a workload whose {match} go to each {rule.to}{within}, by {rule.by}{stated})"


def tag_words(row: dict[str, Any], aliases: dict[str, list[str]]) -> str | None:
    """Which tag of the charges named the workload; ``aliases``: canonical key -> names that mean it, best first. None off the tag route."""
    if row["evidence"] != "tag" or not row["workload_key"]:
        return None
    kind, _, name = row["workload_key"].partition("/")
    key = "endpoint" if kind == "endpoint" else "run_id"
    named = f"the policy reads {key} from {', '.join(aliases.get(key, []))}"
    tags = json.loads(row["tags"] or "{}")
    found = [f"{tag} = {value}" for tag, value in sorted(tags.items()) if str(value).strip().lower() == name.lower()]
    return f"tag {' and '.join(found)} ({named})" if found else f"tags {row['tags']} ({named})"


def _told(table: dict[str, tuple[str, str | None]], name: str) -> tuple[str, str | None]:
    return table.get(name, (name.replace("_", " "), None))
