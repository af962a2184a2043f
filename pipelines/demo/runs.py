"""Who held which GPUs when: training runs and their attempts, endpoint replicas, notebooks, one bare pod.

Belongs here: schedules, evidence and tags of attempts. Does not: prices, samples or files.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from pipelines.demo.model import HOUR, MAX_DAYS, Attempt, Hold, at, hex_id

H100A, H100B = "ip-10-0-1-11.ec2.internal", "ip-10-0-1-12.ec2.internal"
SPOT1, SPOT2 = "ip-10-0-2-21.ec2.internal", "ip-10-0-2-22.ec2.internal"
DEV, SERVE, DARK = "ip-10-0-3-10.ec2.internal", "ip-10-0-5-10.ec2.internal", "ip-10-0-6-66.ec2.internal"
SLURM1, SLURM2 = "slurm-a100-1", "slurm-a100-2"
EMBED, TRANSLATE, BURST = "gke-serve-l4x2-7c1f-a0qd", "gke-serve-l4x1-51be-p2xk", "gke-serve-l4x1-51be-w9zt"
ALL = tuple(range(8))
MODELS = {"nlp": "atlas-7b", "vision": "vit-large", "speech": "sonar-asr", "recsys": "twotower-2", "research": "diffuse-xl"}
TEAMS = tuple(MODELS)
USERS = {"nlp": "ana", "vision": "boris", "speech": "chen", "recsys": "dora", "research": "emil"}
STATES = ("completed", "completed", "completed", "failed", "completed", "completed", "completed", "cancelled")

Span = tuple[str, tuple[int, ...], int, int]


@dataclass
class _Run:
    """A run before it has its number: spans of each attempt, all held alike."""

    evidence: str
    attempts: list[list[Span]]
    team: str
    base: int
    states: list[str]


def plan_attempts(start: int, rng: random.Random) -> tuple[Attempt, ...]:
    """Every attempt of the 14 days, runs first, in order of their start."""
    drafts = _kubernetes_runs(start, rng) + _slurm_runs(start, rng) + _special_runs(start)
    drafts.sort(key=lambda d: (d.attempts[0][0][2], d.attempts[0][0][0], d.attempts[0][0][1]))
    out: list[Attempt] = []
    for number, draft in enumerate(drafts, start=1):
        out += _numbered(number, draft)
    return tuple(out) + _endpoints(start) + _notebooks(start) + _bare_pod(start)


def _fill(rng: random.Random, node: str, gpus: tuple[int, ...], start: int, end: int, hours: tuple[int, int]) -> list[Span]:
    """Runs one after the other with idle pauses between, on multiples of 30 s."""
    spans, clock = [], start + 30 * rng.randrange(20, 240)
    while True:
        length = 30 * rng.randrange(hours[0] * 120, hours[1] * 120)
        if clock + length > end:
            break
        spans.append((node, gpus, clock, clock + length))
        clock += length + 30 * rng.randrange(40, 700)
    return spans


def _drafts(rng: random.Random, evidence: str, spans: list[Span]) -> list[_Run]:
    return [
        _Run(evidence, [[span]], rng.choice(TEAMS), 0 if rng.random() < 0.06 else rng.randrange(280, 900), [rng.choice(STATES)])
        for span in spans
    ]


def _kubernetes_runs(start: int, rng: random.Random) -> list[_Run]:
    day = [at(start, d) for d in range(MAX_DAYS + 1)]
    spans: list[Span] = []
    spans += _fill(rng, H100A, ALL, day[0], at(start, 4, "02:05:00"), (14, 34))
    spans += _fill(rng, H100A, ALL, at(start, 4, "05:45:00"), at(start, 8, "05:30:00"), (14, 34))
    for gpus in ((0, 1, 2, 3), (4, 5, 6, 7)):
        spans += _fill(rng, H100A, gpus, at(start, 9, "22:00:00"), day[14], (16, 40))
    spans += _fill(rng, H100B, ALL, day[0], at(start, 8, "05:30:00"), (16, 40))
    spans += _fill(rng, H100B, ALL, at(start, 9, "22:00:00"), day[13] + 4 * HOUR, (16, 40))
    spans += _fill(rng, DEV, (3, 4, 5, 6), at(start, 1), at(start, 7), (6, 22))
    # The last night: a run that crosses its midnight, and one that begins and ends within it.
    spans.append((H100B, ALL, at(start, 13, "06:00:00"), at(start, 13, "23:15:30")))
    spans.append((DEV, (3, 4, 5, 6), at(start, 12, "15:30:00"), at(start, 13, "09:10:00")))
    return _drafts(rng, "labels", spans)


def _slurm_runs(start: int, rng: random.Random) -> list[_Run]:
    spans: list[Span] = []
    for gpus in ((0, 1, 2, 3), (4, 5, 6, 7)):
        spans += _fill(rng, SLURM1, gpus, at(start, 0), at(start, 5, "05:30:00"), (18, 44))
        spans += _fill(rng, SLURM1, gpus, at(start, 6, "04:00:00"), at(start, 14), (20, 48))
    spans += _fill(rng, SLURM2, ALL, at(start, 1, "07:10:00"), at(start, 5, "05:30:00"), (16, 36))
    both = [[(node, ALL, at(start, 5, "06:00:00"), at(start, 6, "03:30:00")) for node in (SLURM1, SLURM2)]]
    resubmitted = [
        [(SLURM2, ALL, at(start, 6, "08:00:00"), at(start, 7, "10:41:30"))],
        [(SLURM2, ALL, at(start, 7, "11:07:00"), at(start, 8, "20:12:30"))],
    ]
    return [
        *_drafts(rng, "hpc_job", spans),
        _Run("hpc_job", both, "speech", 811, ["completed"]),
        _Run("hpc_job", resubmitted, "vision", 645, ["node_fail", "completed"]),
    ]


def _special_runs(start: int) -> list[_Run]:
    """Runs with a story: two nodes, a spot interruption, named GPUs without labels, a node without telemetry."""
    window = (at(start, 8, "06:00:00"), at(start, 9, "21:17:30"))
    spot = [
        [(SPOT1, ALL, at(start, 2, "06:30:00"), at(start, 4, "13:15:30"))],
        [(SPOT2, ALL, at(start, 4, "13:44:30"), at(start, 6, "18:59:00"))],
    ]
    return [
        _Run("labels", [[(H100A, ALL, *window), (H100B, ALL, *window)]], "nlp", 868, ["completed"]),
        _Run("labels", spot, "nlp", 792, ["preempted", "completed"]),
        _Run("gpu_ids", [[(DEV, (3, 4), at(start, 8, "02:00:00"), at(start, 8, "21:00:00"))]], "research", 540, ["completed"]),
        _Run("gpu_ids", [[(DEV, (3, 4, 5), at(start, 9, "07:00:00"), at(start, 10, "01:00:00"))]], "vision", 0, ["failed"]),
        _Run("count_all", [[(DARK, ALL, at(start, 3, "09:00:00"), at(start, 4, "07:30:30"))]], "recsys", 700, ["completed"]),
    ]


def _numbered(number: int, draft: _Run) -> list[Attempt]:
    run_id = f"{draft.team}-{number:04d}"
    tags = {"team": draft.team, "model": MODELS[draft.team], "environment": "research", "project": f"{draft.team}-2026", "run_id": run_id}
    attempts = []
    for index, spans in enumerate(draft.attempts, start=1):
        holds = tuple(_hold(draft.evidence, draft.team, run_id, number, index, rank, span) for rank, span in enumerate(spans))
        attempts.append(Attempt("run", run_id, index, draft.states[index - 1], draft.evidence, draft.base, holds, tags, USERS[draft.team]))
    return attempts


def _hold(evidence: str, team: str, run_id: str, number: int, attempt: int, rank: int, span: Span) -> Hold:
    node, gpus, start, end = span
    if evidence == "hpc_job":
        return Hold(node, gpus, start, end, hpc_job=str(41_000 + number + 500 * (attempt - 1)))
    if evidence in ("labels", "count_all"):
        pod = f"{run_id}-a{attempt}-worker-{rank}"
        return Hold(node, gpus, start, end, pod, f"{team}-train", pod_uid(pod))
    return Hold(node, gpus, start, end)


def pod_uid(pod: str) -> str:
    """A stable Kubernetes uid of the pod of that name."""
    h = hex_id(32, "pod", pod)
    return f"{h[:8]}-{h[8:12]}-4{h[13:16]}-a{h[17:20]}-{h[20:]}"


def _pod(node: str, gpus: tuple[int, ...], start: int, end: int, pod: str, namespace: str) -> tuple[Hold, ...]:
    return (Hold(node, gpus, start, end, pod, namespace, pod_uid(pod)),)


def _endpoints(start: int) -> tuple[Attempt, ...]:
    """chat on A100s (one replica rolled over on day 10), embed and the nearly idle translate on L4s."""
    end = at(start, MAX_DAYS)
    rollover = at(start, 9, "14:30:00")
    burst = (at(start, 7, "11:26:30"), at(start, 10, "16:40:00"))
    replicas = [
        ("chat", "nlp", 520, "running", _pod(SERVE, (0, 1), start, end, "chat-6d9f-0", "serving")),
        ("chat", "nlp", 520, "completed", _pod(SERVE, (2, 3), start, rollover, "chat-6d9f-1", "serving")),
        ("chat", "nlp", 520, "running", _pod(SERVE, (2, 3), rollover + 90, end, "chat-7b21-1", "serving")),
        ("embed", "recsys", 410, "running", _pod(EMBED, (0,), start, end, "embed-5c8d-0", "serving")),
        ("embed", "recsys", 410, "running", _pod(EMBED, (1,), at(start, 0, "03:15:00"), end, "embed-5c8d-1", "serving")),
        ("embed", "recsys", 410, "completed", _pod(BURST, (0,), *burst, "embed-5c8d-2", "serving")),
        ("translate", "speech", 12, "running", _pod(TRANSLATE, (0,), at(start, 0, "01:00:00"), end, "translate-84aa-0", "serving")),
    ]  # fmt: skip
    return tuple(
        Attempt(
            "endpoint", endpoint, number, state, "labels", base, holds,
            {"team": team, "model": MODELS[team], "environment": "production", "project": "serving", "endpoint": endpoint}, "platform",
        )
        for number, (endpoint, team, base, state, holds) in enumerate(replicas, start=1)
    )  # fmt: skip


def _notebooks(start: int) -> tuple[Attempt, ...]:
    """Three notebooks that mostly sit there."""
    spans = [
        ("emil", "research", 24, "running", DEV, 0, start, at(start, MAX_DAYS)),
        ("boris", "vision", 9, "completed", DEV, 1, at(start, 1, "08:47:30"), at(start, 6, "17:03:00")),
        ("ana", "nlp", 41, "completed", DEV, 2, at(start, 3, "10:12:00"), at(start, 12, "16:58:30")),
    ]
    return tuple(
        Attempt(
            "notebook", f"notebook-{user}", 1, state, "labels", base, _pod(node, (gpu,), begin, end, f"notebook-{user}", "notebooks"),
            {"team": team, "environment": "development", "project": "notebooks"}, user,
        )
        for user, team, base, state, node, gpu, begin, end in spans
    )  # fmt: skip


def _bare_pod(start: int) -> tuple[Attempt, ...]:
    """A pod that only telemetry knows."""
    holds = (Hold(DEV, (7,), at(start, 2, "09:11:30"), at(start, 3, "01:42:00"), "debug-shell", "scratch"),)
    return (Attempt("pod", "scratch/debug-shell", 1, "unknown", "label_only", 333, holds, {}, ""),)
