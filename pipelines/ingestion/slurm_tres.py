"""Slurm's trackable resources: ``billing=12,cpu=12,gres/gpu:a100=2,gres/shard=4,mem=60000M`` as GPUs, CPUs and memory.

Belongs here: that notation. Does not: jobs (sources/slurm.py).
"""

from __future__ import annotations

# a typed GPU whose type is a MIG profile: gres/gpu:1g.10gb, gres/gpu:nvidia_a100_1g.10gb
MIG_TRES = "(?:^|,)gres/gpu:[^=,]*[0-9]g[._][0-9]+gb[^=,]*="


def allocated(tres: str, shards_per_gpu: int | None, mps_per_gpu: int) -> dict[str, str]:
    """Raw column -> SQL over ``tres``: gpus_total, vcpus_total, memory_gib_total; NULL where the text does not tell.

    ``gres/gpu`` is the total; where only typed counts stand they are added. Shards and MPS shares are parts of a GPU and are counted
    where no whole GPU is. MIG instances are no GPUs.
    """

    def number(name: str) -> str:
        return f"try_cast(nullif(regexp_extract({tres}, '(?:^|,){name}=([0-9.]+)', 1), '') AS DOUBLE)"

    def of_types(name: str) -> str:
        return f"list_sum(list_transform(regexp_extract_all({tres}, '(?:^|,){name}:[^=,]+=([0-9]+)', 1), lambda n: CAST(n AS DOUBLE)))"

    gpus = f"coalesce({number('gres/gpu')}, {of_types('gres/gpu')})"
    shards = f"coalesce({number('gres/shard')}, {of_types('gres/shard')})"
    mps = f"coalesce({number('gres/mps')}, {of_types('gres/mps')})"
    by_shard = f"{shards} / {shards_per_gpu}" if shards_per_gpu else "NULL"
    unit = f"regexp_extract({tres}, '(?:^|,)mem=[0-9.]+([KMGTP]?)', 1)"
    powers = " ".join(f"WHEN '{s}' THEN {1024.0 ** (i - 2)}" for i, s in enumerate("KMGTP")) + f" ELSE {1024.0**-1}"
    return {
        "gpus_total": f"CASE WHEN {tres} IS NULL OR regexp_matches({tres}, '{MIG_TRES}') THEN NULL WHEN {gpus} > 0 THEN {gpus}"
        f" WHEN {shards} > 0 THEN {by_shard} WHEN {mps} > 0 THEN {mps} / {mps_per_gpu} ELSE coalesce({gpus}, 0) END",
        "vcpus_total": number("cpu"),
        "memory_gib_total": f"{number('mem')} * CASE {unit} {powers} END",
    }
