"""The smallest cluster for each rule that a random one seldom meets, or on which SQL and oracle once differed.

Belongs here: clusters made by hand, each with what is special about it. Does not: their figures (tests/test_property_attribution.py).
"""

from __future__ import annotations

import datetime as dt

from tests.oracle.activity import series_key
from tests.oracle.plan import Charge, Cluster, Gpu, Interval, Node, Sample

DAY = int(dt.datetime(2026, 10, 6, tzinfo=dt.UTC).timestamp())
TEN = DAY + 10 * 3600


def gpu(name: str, index: int = 0) -> Gpu:
    return Gpu(f"GPU-{name}-{index}", index, f"00000000:{16 * (index + 1):02X}:00.0")


def node(name: str, gpus: int = 1, first: int = TEN, last: int = TEN + 3600, host: str | None = None) -> Node:
    return Node(host or f"{name}-n", f"i-{name}", tuple(gpu(name, n) for n in range(gpus)), gpus, ((first, last),))


def samples(at: Node, first: int, last: int, index: int = 0, sm: str = "0", exporter: str = "a:9400", **labels: str) -> list[Sample]:
    """One sample at the start of each slot of 30 s."""
    device = at.gpus[index]
    return [
        Sample(second * 1_000_000, at.hostname, device.uuid, str(index), device.pci, exporter, sm_active=sm, **labels)
        for second in range(first, last, 30)
    ]


def charge(at: Node, cost: str, hour: int = TEN, hours: str = "1", **values: str) -> Charge:
    return Charge(at.resource_id, hour, usage_hours=hours, unblended=cost, **values)


def slot_cut_by_an_edge() -> Cluster:
    """Two exporters observe all 120 slots; the loser of the tie samples the first slot twice, on both sides of an interval's start."""
    c, at = Cluster("cutslot"), node("cutslot")
    winner, loser = sorted(["a:9400", "b:9400"], key=lambda e: series_key(c, e))
    c.nodes, c.charges = [at], [charge(at, "3.6")]
    c.intervals = [Interval("cutslot-r", "1", TEN + 15, None, at.hostname, gpu_ids=(at.gpus[0].uuid,))]
    c.samples = samples(at, TEN, TEN + 3600, sm="0.2", exporter=winner) + samples(at, TEN, TEN + 3600, sm="0.8", exporter=loser)
    c.samples += samples(at, TEN + 20, TEN + 21, sm="0.8", exporter=loser)
    return c


def fill_over_midnight() -> Cluster:
    """A run holds the GPU from 23:00 to 02:00; samples are missing from 00:00:00 to 00:05:00. Filled: 00:00-00:02."""
    c, at = Cluster("midnight"), node("midnight", first=DAY - 3600, last=DAY + 7200)
    c.nodes, c.charges = [at], [charge(at, "3.6", hour=DAY)]
    c.intervals = [Interval("midnight-r", "1", DAY - 3600, DAY + 7200, at.hostname, gpu_ids=(at.gpus[0].uuid,))]
    c.samples = samples(at, DAY - 3600, DAY, sm="0.5") + samples(at, DAY + 300, DAY + 3600, sm="0.5")
    return c


def host_name_used_again() -> Cluster:
    """Machine one is replaced at 10:30 by machine two under the same host name; both idle while they lived."""
    c = Cluster("reused")
    one = node("reused1", last=TEN + 1800, host="reused-n")
    two = node("reused2", first=TEN + 1800, host="reused-n")
    c.nodes = [one, two]
    c.charges = [charge(one, "1", hours="0.5"), charge(two, "2", hours="0.5")]
    c.samples = samples(one, TEN, TEN + 1800) + samples(two, TEN + 1800, TEN + 3600)
    return c


def run_on_a_host_without_inventory() -> Cluster:
    c, at = Cluster("stray"), node("stray")
    c.intervals = [Interval("stray-r", "1", TEN, TEN + 3600, at.hostname, gpu_ids=(at.gpus[0].uuid,))]
    c.samples = samples(at, TEN, TEN + 3600, sm="0.5")
    return c


def discount_on_the_machine() -> Cluster:
    """GPU 0 is held by a run, GPU 1 idle; the hour costs 10, and a negotiated discount of 2 stands on the same machine."""
    c, at = Cluster("edp"), node("edp", gpus=2)
    c.nodes = [at]
    c.charges = [charge(at, "10"), charge(at, "-2", hours="0", line_type="EdpDiscount")]
    c.intervals = [Interval("edp-r", "1", TEN, TEN + 3600, at.hostname, gpu_ids=(at.gpus[0].uuid,))]
    c.samples = samples(at, TEN, TEN + 3600, sm="1") + samples(at, TEN, TEN + 3600, index=1)
    return c


def exporter_without_uuid() -> Cluster:
    """The same GPU told by two exporters, one of which knows only its index; both with the pod's label."""
    c, at = Cluster("nouuid"), node("nouuid")
    c.nodes, c.charges = [at], [charge(at, "3.6")]
    c.intervals = [Interval("nouuid-r", "1", TEN, TEN + 3600, at.hostname, gpu_count=1, namespace="ml", pod="nouuid-p")]
    old = Node(at.hostname, at.resource_id, (Gpu("", 0, ""),), 1)
    label = {"namespace": "ml", "pod": "nouuid-p"}
    c.samples = samples(at, TEN, TEN + 3600, sm="0.5", **label) + samples(old, TEN, TEN + 3600, sm="0.5", exporter="b:9400", **label)
    return c


def label_of_an_interval_without_length() -> Cluster:
    c, at = Cluster("zero"), node("zero")
    c.nodes, c.charges = [at], [charge(at, "3.6")]
    c.intervals = [Interval("zero-r", "1", TEN, TEN, at.hostname, gpu_count=1, namespace="ml", pod="zero-p")]
    c.samples = samples(at, TEN, TEN + 3600, namespace="ml", pod="zero-p")
    return c


def interval_of_the_next_day() -> Cluster:
    """A GPU cut in two. A pod has instance 1 from 00:20:10 on; instance 2, which nobody has, misses samples from 00:20:00 to 00:25:00. The
    day before knows the pod by its count alone, and so by all of the node: that is no edge of instance 2."""
    c, at = Cluster("tomorrow"), node("tomorrow", first=DAY - 3600, last=DAY + 3600)
    c.nodes, c.charges = [at], [charge(at, "25.2", hour=DAY)]
    c.intervals = [Interval("tomorrow-r", "1", DAY + 1210, DAY + 3600, at.hostname, gpu_count=1, namespace="ml", pod="tomorrow-p")]
    one, two = ({"mig_instance_id": n, "mig_profile": "3g.40gb"} for n in "12")
    c.samples = samples(at, DAY - 3600, DAY + 1230, **one) + samples(at, DAY + 1230, DAY + 3600, namespace="ml", pod="tomorrow-p", **one)
    c.samples += samples(at, DAY - 3600, DAY + 1200, **two) + samples(at, DAY + 1500, DAY + 3600, **two)
    return c


def edges_before_midnight() -> Cluster:
    """Machines at $3.60 an hour without samples from 00:00:00 to 00:05:00. The last sample, at 23:59:30, would fill to 00:02:00, were it not
    for an interval that begins or ends behind it: a run that names the GPU ends (a), one ends with the day (b), one begins (c), the pod
    that the GPU bore ends (d), a run that counts all of the node ends (e). The pod on the first GPU of f is no edge of its second."""
    c = Cluster("eve")
    for name in "abcdef":
        at = node(f"eve-{name}", gpus=2 if name == "f" else 1, first=DAY - 3600, last=DAY + 3600)
        c.nodes.append(at)
        c.charges.append(charge(at, "7.2" if name == "f" else "3.6", hour=DAY))
        first, last = {"b": (DAY - 3600, DAY), "c": (DAY - 20, DAY + 3600)}.get(name, (DAY - 3600, DAY - 10))
        who = {"namespace": "ml", "pod": f"eve-{name}-p"}
        how = {"d": who, "f": who | {"gpu_count": 1}, "e": {"gpu_count": 1}}.get(name, {"gpu_ids": (at.gpus[0].uuid,)})
        c.intervals.append(Interval(f"eve-{name}", "1", first, last, at.hostname, **how))  # type: ignore[arg-type]
        c.samples += samples(at, DAY - 3600, DAY, **(who if name in "df" else {})) + samples(at, DAY + 300, DAY + 3600)
        if name == "f":
            c.samples += samples(at, DAY - 3600, DAY, index=1) + samples(at, DAY + 300, DAY + 3600, index=1)
    return c


def instance_that_comes_back() -> Cluster:
    """An instance is seen until 10:30:00, the bare device at 10:30:30, then nothing: the device has that one slot, and the instance, not
    seen again, comes back behind it. What was filled of it ended with its first life."""
    c, at = Cluster("back"), node("back")
    c.nodes, c.charges = [at], [charge(at, "25.2")]
    c.samples = samples(at, TEN, TEN + 1800, mig_instance_id="1", mig_profile="3g.40gb") + samples(at, TEN + 1830, TEN + 1860)
    return c


def device_row_beside_instances() -> Cluster:
    """MIG was switched on at 10:00. Instance 2 is last seen before 10:30, instance 1 to the end; one row of the bare device at 10:31 has no
    place beside instance 1, and takes none from instance 2, which nobody cut away."""
    c, at = Cluster("row"), node("row")
    c.nodes, c.charges = [at], [charge(at, "25.2")]
    c.samples = samples(at, TEN - 30, TEN) + samples(at, TEN + 1860, TEN + 1890)
    for instance, last in (("1", TEN + 3600), ("2", TEN + 1800)):
        c.samples += samples(at, TEN, last, mig_instance_id=instance, mig_profile="3g.40gb")
    return c


def two_labels_at_one_instant() -> Cluster:
    """Two pods' labels on one GPU that nobody declared shared, always at the same instant, the later name first."""
    c, at = Cluster("instant"), node("instant")
    c.nodes, c.charges = [at], [charge(at, "3.6")]
    for pod in ("instant-z", "instant-a"):
        c.intervals.append(Interval(pod, "1", TEN, TEN + 3600, at.hostname, namespace="ml", pod=pod))
        c.samples += samples(at, TEN, TEN + 3600, sm="1", namespace="ml", pod=pod)
    return c


SMALLEST = (
    slot_cut_by_an_edge, fill_over_midnight, host_name_used_again, run_on_a_host_without_inventory, discount_on_the_machine,
    exporter_without_uuid, label_of_an_interval_without_length, interval_of_the_next_day, edges_before_midnight,
    instance_that_comes_back, device_row_beside_instances, two_labels_at_one_instant,
)  # fmt: skip
