"""Random small clusters: every kind of node, bill, telemetry and interval that the contract speaks of, mixed.

Belongs here: chance, all of it from one seed. Does not: how GPUs are cut and shared (flavours.py), file formats, expected figures. `FEATURES` can be switched off one by one, to
find the one a disagreement needs.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

from tests.oracle.flavours import Body, Flavour, Place
from tests.oracle.plan import Charge, Cluster, Gpu, Interval, Node, Sample

FEATURES = frozenset(
    {
        "partial_validity", "split_validity", "open_validity", "no_validity", "parallel_rows", "correction", "other_charge", "missing_hours",
        "longer_bill", "shorter_bill", "missing_slots", "gaps", "hour_gap", "repeats", "late", "unaligned", "second_exporter", "garbage",
        "lower_rungs", "named", "labels", "label_count", "count_only", "whole_node", "overlap", "zero_length", "open_ended", "pod_reuse",
        "outliving_label", "flapping", "no_telemetry", "no_node", "unregistered", "hpc_job", "midnight", "silent_gpu", "pod_uid",
        "more_labels_than_count", "second_exporter_unlabelled", "lists_gpus", "label_no_count",
        "mig", "mig_recut", "mig_switched", "mig_silent", "sharing", "inventory_sharing", "replicas", "many_labels", "job_copies", "fractional",
        "fractional_named", "fractional_count", "device_row", "node_split", "memory", "restart",
    }
)  # fmt: skip

MILLION = 1_000_000


class Maker:
    """Makes one cluster. ``on(feature, p)`` is the only way anything unusual comes in."""

    def __init__(self, seed: int, day: int, features: frozenset[str] = FEATURES) -> None:
        self.random = random.Random(seed)  # noqa: S311
        self.further = random.Random(f"cut and shared {seed}")  # noqa: S311
        self.features = features
        self.cluster = Cluster(f"c{seed}")
        self.day = day
        self.start = 0
        self.hours = 0

    def on(self, feature: str, probability: float) -> bool:
        """Whether the cluster (or this part of it) has the feature. Draws in any case, so that seeds stay comparable."""
        drawn = self.random.random() < probability
        assert feature in FEATURES, feature
        return drawn and feature in self.features

    def also(self, feature: str, probability: float) -> bool:
        """As ``on``, from the stream of chance for cutting and sharing."""
        drawn = self.further.random() < probability
        assert feature in FEATURES, feature
        return drawn and feature in self.features

    def money(self, top: int = 90) -> str:
        places = self.random.choice([2, 6, 9, 12])
        return f"{self.random.randrange(top)}.{self.random.randrange(10**places):0{places}d}"

    def make(self) -> Cluster:
        rng, cluster = self.random, self.cluster
        cluster.slot_seconds = rng.choice([30, 30, 30, 30, 15, 60, 5])
        cluster.shape = rng.choice(["wide_csv", "wide_parquet", "long_csv", "long_parquet"])
        self.hours = 1 if cluster.slot_seconds == 5 else rng.choice([1, 2, 2])
        self.start = self.day + (rng.randrange(22) * 3600 if not self.on("midnight", 0.2) else -3600)
        for number in range(1 if cluster.slot_seconds == 5 else rng.choice([1, 1, 2])):
            self._node(number)
        if self.on("no_node", 0.1):
            stray = Node(f"{cluster.name}-stray", f"i-{cluster.name}stray", (Gpu(f"GPU-{cluster.name}-stray", 0, ""),), 1)
            flavour = Flavour(self.further, self.also, cluster, self.day)
            self._samples(stray, self._bodies(stray, flavour), flavour)
        return cluster

    # --- node and bill

    def _node(self, number: int) -> None:
        rng, name = self.random, f"{self.cluster.name}-n{number}"
        count = rng.choice([1, 2, 3, 4])
        end = self.start + self.hours * 3600
        validity: tuple[tuple[int | None, int | None], ...] = ((self.start, end),)
        if self.on("open_validity", 0.2):
            validity = ((self.start, None),)
        if self.on("partial_validity", 0.4):
            validity = ((self.start + rng.randrange(1200), end - rng.randrange(1200)),)
        if self.on("split_validity", 0.15):
            cut = self.start + rng.randrange(600, 2400)
            validity = ((self.start + rng.randrange(300), cut), (cut + rng.randrange(1, 900), end))
        if self.on("no_validity", 0.15):
            validity = ()
        gpus = tuple(Gpu(f"GPU-{name}-{g}", g, f"00000000:{16 * (g + 1):02X}:00.0") for g in range(count))
        flavour = Flavour(self.further, self.also, self.cluster, self.day)
        node = Node(name, f"i-{name.replace('-', '')}", gpus, count, validity, self.on("lists_gpus", 0.3))
        node = flavour.dress(node, self.start, end)
        self.cluster.nodes.append(node)
        for hour in range(self.start, end, 3600):
            self._charges(node, hour)
        spell = self._intervals(node)
        self.cluster.intervals += flavour.intervals(node, self.start, end, spell)
        if not self.on("no_telemetry", 0.08):
            self._samples(node, self._bodies(node, flavour), flavour)

    def _charges(self, node: Node, hour: int) -> None:
        rng, rows = self.random, self.cluster.charges
        if self.on("missing_hours", 0.12):
            return
        stretches = [(max(a or 0, hour), min(b or hour + 3600, hour + 3600)) for a, b in node.validity or ((None, None),)]
        seconds = sum(max(0, b - a) for a, b in stretches)
        if not node.validity:
            seconds = rng.choice([3600, rng.randrange(1, 3600)])
        if self.on("longer_bill", 0.12):
            seconds = min(3600, seconds + rng.randrange(1, 400))
        if self.on("shorter_bill", 0.12):
            seconds = max(1, seconds - rng.randrange(1, 900))

        def row(part: int, **values: str) -> Charge:
            return Charge(
                node.resource_id, hour, usage_hours=f"{part / 3600:.12f}", unblended=self.money(), list_cost=self.money(), **values
            )

        if self.on("parallel_rows", 0.3):
            part = rng.randrange(seconds + 1)
            kind = rng.choice(["same", "spot", "plan"])
            rows.append(row(part))
            if kind == "plan":
                covered = row(seconds - part, line_type="SavingsPlanCoveredUsage", plan_effective=self.money())
                rows.append(covered)
                rows.append(replace(covered, line_type="SavingsPlanNegation", unblended=f"-{covered.unblended}", plan_effective=""))
            else:
                rows.append(row(seconds - part, usage_type="SpotUsage:p4d.24xlarge" if kind == "spot" else "BoxUsage:p4d.24xlarge"))
        else:
            rows.append(row(seconds))
        if self.on("correction", 0.2):
            line_type = rng.choice(["Usage", "Refund"])
            rows.append(Charge(node.resource_id, hour, line_type=line_type, usage_hours="0", unblended=f"-{self.money(20)}"))
        if self.on("other_charge", 0.25):
            rows.append(
                Charge(
                    node.resource_id,
                    hour,
                    usage_type="DataTransfer-Out-Bytes",
                    operation="InterZone-Out",
                    usage_hours="3.5",
                    unblended=self.money(5),
                )
            )

    # --- intervals

    def _intervals(self, node: Node) -> Callable[[Gpu], str]:
        """Make the node's intervals; return how they name its GPUs."""
        rng, cluster = self.random, self.cluster

        def span() -> tuple[int, int | None]:
            first = self.start - 1200 + rng.randrange(0, self.hours * 3600)
            if self.on("open_ended", 0.15):
                return first, None
            return first, first + rng.randrange(60, self.hours * 3600 + 1200)

        def add(**values: object) -> Interval:
            first, last = span()
            identity = f"{node.hostname}-r{len(cluster.intervals)}"
            interval = Interval(identity, rng.choice(["1", "2"]), first, last, node.hostname, **values)  # type: ignore[arg-type]
            cluster.intervals.append(interval)
            return interval

        spellings: list[Callable[[Gpu], str]] = [lambda g: g.uuid, lambda g: str(g.index), lambda g: g.pci, lambda g: g.pci[4:].lower()]
        spelling = rng.choice(spellings)
        if self.on("named", 0.5):
            for _ in range(2 if self.on("overlap", 0.4) else 1):
                chosen = rng.sample(node.gpus, rng.randrange(1, len(node.gpus) + 1))
                # where neither the inventory nor telemetry tells the names of a GPU, two spellings would be two GPUs
                spell = rng.choice(spellings) if node.lists_gpus else spelling
                add(gpu_ids=tuple(spell(g) for g in chosen))
        for feature, probability in (("labels", 0.5), ("labels", 0.4)):
            if self.on(feature, probability):
                pod = f"{node.hostname}-pod{len(cluster.intervals)}"
                uid = f"uid-{pod}" if self.on("pod_uid", 0.4) else ""
                job = f"job-{pod}" if self.on("hpc_job", 0.15) else ""
                count = None
                if self.on("label_count", 0.6) or "label_no_count" not in self.features:
                    count = rng.randrange(1, len(node.gpus) + 1)
                first = add(namespace="ml", pod=pod, pod_uid=uid, hpc_job=job, gpu_count=count)
                if self.on("pod_reuse", 0.2) and first.end is not None:
                    again = replace(
                        first, workload_id=f"{first.workload_id}b", start=first.end + rng.randrange(0, 300), end=None, pod_uid=""
                    )
                    cluster.intervals.append(replace(again, end=again.start + rng.randrange(60, 3000)))
        if len(node.gpus) > 1 and self.on("count_only", 0.25):
            for _ in range(rng.choice([1, 1, 2])):
                add(gpu_count=rng.randrange(1, len(node.gpus)))
        if self.on("whole_node", 0.15):
            add(gpu_count=len(node.gpus))
        if self.on("zero_length", 0.15):
            zero = add(gpu_ids=(spelling(node.gpus[0]),))
            cluster.intervals[-1] = replace(zero, end=zero.start)
        return spelling

    # --- telemetry

    def _bodies(self, node: Node, flavour: Flavour) -> dict[Place, list[Body]]:
        """Per place who has it by label."""
        rng = self.random
        end = self.start + self.hours * 3600
        places = flavour.places(node)
        bodies: dict[Place, list[Body]] = {place: [] for place in places}
        for interval in self.cluster.intervals:
            if interval.hostname != node.hostname or not (interval.pod or interval.hpc_job):
                continue
            wanted = math.ceil(Fraction(interval.gpu_count or 0)) or rng.randrange(1, len(node.gpus) + 1)
            if self.on("more_labels_than_count", 0.1):
                wanted = len(node.gpus)
            fields = {"namespace": interval.namespace, "pod": interval.pod, "pod_uid": interval.pod_uid, "hpc_job": interval.hpc_job}
            if interval.pod_uid and rng.random() < 0.3:
                fields["pod_uid"] = ""
            until = interval.end or end
            if self.on("outliving_label", 0.4):
                until += rng.randrange(30, 1800)
            for place in rng.sample(places, min(wanted, len(places))):
                bodies[place].append((interval.start, until, fields))
        if self.on("unregistered", 0.2):
            place = rng.choice(places)
            bodies[place].append((self.start, self.start + 2000, {"namespace": "x", "pod": f"{node.hostname}-stranger"}))
        return bodies

    def _samples(self, node: Node, bodies: dict[Place, list[Body]], flavour: Flavour) -> None:
        rng, slot = self.random, self.cluster.slot_seconds
        first = self.start - rng.choice([0, 0, 600])
        last = self.start + self.hours * 3600 + rng.choice([0, 0, 700])
        missing = rng.choice([0.01, 0.05, 0.2]) if self.on("missing_slots", 0.6) else 0.0
        shift = rng.randrange(slot * MILLION) if self.on("unaligned", 0.5) else 0
        jitter = self.on("unaligned", 0.3)
        gaps = []
        if self.on("gaps", 0.5):
            gaps += [(g, g + rng.randrange(60, 600)) for g in (first + rng.randrange(last - first) for _ in range(3))]
        if self.on("hour_gap", 0.1):
            gap = first + rng.randrange(last - first)
            gaps.append((gap, gap + 3600))
        exporters = ["a:9400", "b:9400"] if self.on("second_exporter", 0.3) else [rng.choice(["", "a:9400"])]
        unlabelled = exporters[-1] if len(exporters) > 1 and self.on("second_exporter_unlabelled", 0.5) else None
        restart = None
        if len(exporters) == 1 and self.also("restart", 0.25):
            restart = self.further.randrange(first, last)
            gaps.append((restart, restart + self.further.choice([0, 20, 90, 400])))
        memory = self.also("memory", 0.7)
        flapping = 0.2 if self.on("flapping", 0.3) else 0.0
        garbage = 0.05 if self.on("garbage", 0.3) else 0.0
        rung = rng.choice(["sm_active", "gr_engine_active", "gpu_util", "mixed"]) if self.on("lower_rungs", 0.5) else "sm_active"
        found: list[Sample] = []
        for gpu in node.gpus:
            # a silent GPU that only an interval of one day names would have another name, and place in the order, on another day
            is_told = node.lists_gpus or not any(i.gpu_ids for i in self.cluster.intervals if i.hostname == node.hostname)
            if self.on("silent_gpu", 0.08) and is_told:
                continue
            busy = rng.random()
            for number, exporter in enumerate(exporters):
                for at in range(first, last, slot):
                    micros = at * MILLION + (rng.randrange(slot * MILLION) if jitter else shift)
                    if number and not jitter:
                        micros += rng.randrange(3) * 1_000_000
                    second = micros // MILLION
                    if rng.random() < missing or any(a <= second < b for a, b in gaps):
                        continue
                    if restart is not None and second >= restart:
                        exporter = "restarted:9400"
                    for place, labels in flavour.rows(gpu, second, bodies):
                        told = self._told(rung, busy if any(labels) else rng.choice([0.0, 0.0, 0.004, busy / 50]), garbage, memory)
                        if place[1] or gpu in flavour.cuts:
                            told |= {"mig_instance_id": place[1], "mig_profile": place[2], "gpu_model": gpu.model}
                        for copy, label in enumerate(labels):
                            body = {} if exporter == unlabelled or rng.random() < flapping else label
                            instant = micros + copy + 7 * number if flavour.is_staggered else micros
                            sample = Sample(instant, node.hostname, gpu.uuid, str(gpu.index), gpu.pci, exporter, **body, **told)
                            found.append(sample)
                            if self.on("repeats", 0.03):
                                found.append(sample)
                            if self.on("repeats", 0.02):
                                found.append(replace(sample, micros=micros + rng.randrange(1, slot * 500_000)))
        if self.on("late", 0.6):
            rng.shuffle(found)
        self.cluster.samples += found

    def _told(self, rung: str, busy: float, garbage: float, memory: bool) -> dict[str, str]:
        """The values of one scrape of one place: its copies under several labels read alike."""
        told = self._activity(rung, busy, garbage)
        if memory:
            told["fb_used_mib"] = self.further.choice(["0", "4", "100", "100.5", "80.25", "20000", "", "9223372036854775794", "-1"])
        return told

    def _activity(self, rung: str, busy: float, garbage: float) -> dict[str, str]:
        rng = self.random
        value = min(1.0, max(0.0, busy * (0.5 + rng.random())))
        names = [rung] if rung != "mixed" else rng.choice([["sm_active"], ["gpu_util"], ["gr_engine_active", "gpu_util"], []])
        told = {n: f"{value * 100:.2f}" if n == "gpu_util" else f"{value:.6f}" for n in names}
        if rng.random() < garbage:
            told = {
                n: rng.choice(["NaN", "9223372036854775794", "140737488355328.0", "-0.5", "101" if n == "gpu_util" else "1.000001"])
                for n in told
            }
        return told


def cluster(seed: int, day: int, features: frozenset[str] = FEATURES) -> Cluster:
    """The cluster of a seed. ``day``: first second of the UTC day in which it lies; some begin an hour before."""
    return Maker(seed, day, features).make()
