"""How the GPUs of a generated node are cut and shared: instances, declared sharing, fractional requests, split of the node's price.

Belongs here: chance about cutting and sharing, from a seed of its own. Does not: time, bills, telemetry's faults (generate.py).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

from tests.oracle.plan import Cluster, Gpu, Interval, Node, NodeSplitRule, SharingRule

Place = tuple[Gpu, str, str]  # GPU, MIG instance id, profile; '' on the bare device
Body = tuple[int, int, dict[str, str]]  # from, to, label fields
Cut = tuple[int, int, list[tuple[str, str]]]  # from, to, (instance id, profile); no instance: the bare device

MODELS = {
    "NVIDIA A100-SXM4-40GB": ["3g.20gb 3g.20gb", "4g.20gb 2g.10gb 1g.5gb", "1g.5gb " * 7, "3g.20gb", "2g.10gb " * 3, "4g.20gb 2g.10gb", "1g.10gb " * 4],
    "NVIDIA A100-SXM4-80GB": ["3g.40gb 3g.40gb", "7g.80gb", "1g.20gb " * 4, "2g.20gb 1g.10gb 1g.10gb", "4g.40gb 3g.40gb", "1g.10gb " * 3],
    "NVIDIA A100": ["3g.40gb 3g.40gb", "1g.20gb 1g.20gb 1g.20gb", "2g.20gb 4g.40gb"],
    "NVIDIA H100 80GB HBM3": ["3g.40gb 2g.20gb", "1g.10gb " * 7, "4g.40gb 1g.20gb", "2g.20gb 2g.20gb 3g.40gb"],
    "NVIDIA A30": ["1g.6gb " * 4, "2g.12gb 2g.12gb", "2g.12gb 1g.6gb", "4g.24gb", "1g.6gb"],
}  # fmt: skip
METHODS = ("weights_9_1", "base_price", "fixed_95_3_2", "gpu_only")


class Flavour:
    """What is special about one node. ``on(feature, p)`` says whether a feature comes in."""

    def __init__(self, rng: random.Random, on: Callable[[str, float], bool], cluster: Cluster, day: int) -> None:
        self.random, self.on, self.cluster, self.day = rng, on, cluster, day
        self.cuts: dict[Gpu, list[Cut]] = {}
        self.silent: dict[Place, tuple[int, int]] = {}
        self.is_declared = self.is_fractional = False
        self.is_staggered = (
            False  # copies under several labels differ in their instant: where the GPU is not shared, one of them is the latest
        )
        self.replicas: int | None = None

    def dress(self, node: Node, start: int, end: int) -> Node:
        """The node with its model, pool, sharing, and the rules about it in the cluster's policy."""
        rng, cluster = self.random, self.cluster
        node = replace(node, pool=f"{node.hostname}-pool")
        if self.on("mig", 0.3):
            model = rng.choice(list(MODELS))
            node = replace(node, gpu_model=model, gpus=tuple(replace(g, model=model) for g in node.gpus))
            for gpu in node.gpus:
                if rng.random() < 0.8:
                    self._cut(gpu, start, end)
        share = 0.15 if self.cuts else 0.35
        if self.on("sharing", share):
            node = self._declare(node)
        elif self.on("fractional", 0.05 if self.cuts else 0.4):
            self.is_fractional = self.is_staggered = not self.cuts
        if self.on("node_split", 0.3):
            sizes = rng.choice([("96", "1152"), ("12", "85"), ("48", "192.5"), ("", "64")])
            node = replace(node, vcpus=sizes[0], memory_gib=sizes[1])
            where = rng.choice([{"pool": node.pool}, {"provider": cluster.name}, {"pool": node.pool, "provider": cluster.name}])
            if rng.random() < 0.3:  # it does not match
                cluster.node_split.append(NodeSplitRule("weights_9_1", pool=node.pool, valid_to="2026-10-01"))
            cluster.node_split.append(NodeSplitRule(rng.choice(METHODS), **where))
        return node

    def _cut(self, gpu: Gpu, start: int, end: int) -> None:
        rng = self.random
        menu = MODELS[gpu.model]
        first = rng.randrange(1, 4)

        def instances(shift: int = 0) -> list[tuple[str, str]]:
            return [(str(first + shift + n), profile) for n, profile in enumerate(rng.choice(menu).split())]

        pieces = [instances()]
        if self.on("mig_recut", 0.3):
            pieces.append(instances(rng.choice([0, 0, 8])))
        if self.on("mig_switched", 0.3):
            pieces.insert(rng.randrange(len(pieces) + 1), [])
        step = (end + 1300 - start) // len(pieces)
        at = start - 700
        for number, piece in enumerate(pieces):
            until = end + 1300 if number + 1 == len(pieces) else start + step * (number + 1) + rng.randrange(-500, 500)
            self.cuts.setdefault(gpu, []).append((at, until - rng.choice([0, 0, 200, 500]), piece))
            at = until
        for _, _, piece in self.cuts[gpu]:
            for mark in piece:
                if self.on("mig_silent", 0.15):
                    mute = start + rng.randrange(end - start)
                    self.silent[gpu, *mark] = rng.choice([(start - 3600, mute), (mute, end + 3600), (mute, mute + 900)])

    def _declare(self, node: Node) -> Node:
        rng, cluster = self.random, self.cluster
        self.is_declared = True
        strategy = rng.choice(["time_slicing", "time_slicing", "mps", "vgpu"])
        self.replicas = rng.choice([1, 2, 3, 4, 4, 10]) if self.on("replicas", 0.5) else None
        where = rng.choice([{"pool": node.pool}, {"hostname": node.hostname}, {"pool": node.pool, "hostname": node.hostname}])
        if self.on("inventory_sharing", 0.3):
            if rng.random() < 0.2:  # the policy knows better
                cluster.sharing.append(SharingRule("none", **where))
                self.is_staggered = True
            return replace(node, gpu_sharing=strategy, gpu_replicas=self.replicas)
        if rng.random() < 0.3:  # it does not match
            cluster.sharing.append(SharingRule("mps", pool=f"{node.pool}-other", hostname=node.hostname, replicas=7))
        day = "2026-10-06" if rng.random() < 0.3 else ""
        self.is_staggered = day != ""
        cluster.sharing.append(SharingRule(strategy, replicas=self.replicas, valid_from=day, **where))
        return node

    # --- who works there

    def intervals(self, node: Node, start: int, end: int, spell: Callable[[Gpu], str]) -> list[Interval]:
        """Further intervals, of those who share GPUs. ``spell``: how an interval names a GPU where only intervals may tell of it."""
        rng, found = self.random, []

        def add(**values: object) -> None:
            first = rng.randrange(start - 900, end - 300)
            last = first + rng.randrange(300, end - start + 900)
            name = f"{node.hostname}-s{len(found)}"
            found.append(Interval(name, "1", first, last, node.hostname, **values))  # type: ignore[arg-type]

        def label(count: int | str | None) -> None:
            pod = f"{node.hostname}-spod{len(found)}"
            if self.on("job_copies", 0.2):
                add(hpc_job=f"job-{pod}", gpu_count=count)
            else:
                add(namespace="ml", pod=pod, pod_uid=f"uid-{pod}" if rng.random() < 0.3 else "", gpu_count=count)

        if self.cuts:
            for _ in range(rng.randrange(1, 5)):
                label(rng.choice([None, 1, 1, 2]))
        if self.is_declared:
            pods = rng.randrange(2, 5) + (4 if self.on("many_labels", 0.25) else 0)
            for _ in range(pods):
                label(rng.choice([None, 1, 1, 1, 2] + ([] if self.cuts else ["0.25", "0.5"])))
        if self.is_fractional:
            for _ in range(rng.randrange(1, 6)):
                label(rng.choice(["0.25", "0.25", "0.5", "0.1", "1.5", 1]))
        if self.is_fractional or (self.is_declared and not self.cuts):
            gpus = [rng.choice([g.uuid, str(g.index), g.pci]) if node.lists_gpus else spell(g) for g in node.gpus]
            for _ in range(rng.choice([0, 1, 1, 2, 4]) if self.on("fractional_named", 0.6) else 0):
                named = tuple(rng.sample(gpus, rng.randrange(1, len(gpus) + 1)))
                add(gpu_ids=named, gpu_count=rng.choice(["0.25", "0.5", "0.75", str(len(named)), *(["1"] if len(named) > 1 else [])]))
            for _ in range(rng.choice([1, 2, 3, 4]) if self.on("fractional_count", 0.4) else 0):
                add(gpu_count=rng.choice(["0.25", "0.25", "0.5", "0.75", *(["1.5"] if len(gpus) > 1 else [])]))
        return found

    def places(self, node: Node) -> list[Place]:
        """Everywhere that work can run on the node."""
        places = []
        for gpu in node.gpus:
            marks = {mark: None for _, _, piece in self.cuts.get(gpu, [(0, 0, [])]) for mark in (piece or [("", "")])}
            places += [(gpu, *mark) for mark in marks]
        return places

    # --- what telemetry shows

    def rows(self, gpu: Gpu, second: int, bodies: dict[Place, list[Body]]) -> list[tuple[Place, list[dict[str, str]]]]:
        """The places of a GPU that a scrape at ``second`` shows, each with the label fields of its rows."""
        if gpu not in self.cuts:
            return [((gpu, "", ""), self._labels(bodies.get((gpu, "", ""), []), second))]
        shown = []
        for first, last, piece in self.cuts[gpu]:
            if first <= second < last:
                for mark in piece or [("", "")]:
                    mute = self.silent.get((gpu, *mark), (0, 0))
                    if not mute[0] <= second < mute[1]:
                        shown.append(((gpu, *mark), self._labels(bodies.get((gpu, *mark), []), second)))
                if piece and self.on("device_row", 0.03):
                    shown.append(((gpu, "", ""), [{}]))
        return shown

    def _labels(self, bodies: list[Body], second: int) -> list[dict[str, str]]:
        present = [fields for a, b, fields in reversed(bodies) if a <= second < b]
        if not present:
            return [{}]
        if self.is_declared:
            return [*present, *([{}] if self.on("device_row", 0.3) else [])]
        return [self.random.choice(present)] if self.is_fractional else present[:1]
