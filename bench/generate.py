"""The benchmark's input files, written set by set with DuckDB: telemetry, bill, inventory, intervals, settings.

Belongs here: the files' shapes. Does not: what the company is like (company.py), the bill's rows (bill.py).
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import yaml

from bench import company
from bench.bill import EXPORT, write_bill
from bench.company import FIRST_DAY, SLOT_SECONDS, Size
from pipelines.warehouse import quote_text

# As Prometheus with `honorLabels: false` stores it: the exporter's own pod under the plain names, the workload's under exported_*.
# Scrapes come every 30 s at each node's own offset, a few milliseconds late; a missed one is missing for the whole node.
_SAMPLES = """
with gpus as (
    select n, g, hostname, hash(n, g) as gpu_hash, hash(n, 'offset') % 30000 as offset_ms from nodes cross join range(8) as t(g)
), scrapes as (
    select n, k, getvariable('day')::timestamp + to_milliseconds((k * 30000 + hash(n, 'offset') % 29900 + hash(n, k, getvariable('day')) % 50)::bigint) as scraped_at
    from nodes cross join range(2880) as t(k)
    where hash(n, k, getvariable('day'), 'missed') % 1000000 >= getvariable('missed_ppm')
), samples as (
    select gpus.n, gpus.g, gpus.hostname, gpus.gpu_hash, scrapes.scraped_at, hash(gpu_hash, k) % 1000 as noise, epoch(scrapes.scraped_at)::bigint as second
    from scrapes join gpus on scrapes.n = gpus.n
), held as (
    select n, group_index * group_gpus as first_gpu, (group_index + 1) * group_gpus as next_gpu, * exclude n from holds
)
select
    scraped_at as timestamp,
    samples.hostname as "Hostname", 'GPU-' || printf('%016x', gpu_hash) as "UUID", g::varchar as gpu,
    '00000000:' || printf('%02x', 16 + g) || ':00.0' as pci_bus_id, 'NVIDIA H100 80GB HBM3' as "modelName",
    'dcgm-exporter' as container, 'gpu-monitoring' as namespace, 'dcgm-exporter-' || samples.n as pod,
    case when held.pod is not null then 'main' else '' end as exported_container, coalesce(held.namespace, '') as exported_namespace, coalesce(held.pod, '') as exported_pod,
    '10.0.' || (samples.n // 250) || '.' || (samples.n % 250) || ':9400' as instance, 'dcgm' as job,
    case when held.pod is null then 0.0 else round(least(1.0, activity_level + noise / 5000), 6) end as "DCGM_FI_PROF_SM_ACTIVE",
    case when held.pod is null then 0.0 else round(least(1.0, activity_level + noise / 4000), 6) end as "DCGM_FI_PROF_GR_ENGINE_ACTIVE",
    case when held.pod is null then 0.0 else round(100 * least(1.0, activity_level + noise / 3000)) end as "DCGM_FI_DEV_GPU_UTIL",
    case when held.pod is null then 3.0 else 60000.0 + noise end::double as "DCGM_FI_DEV_FB_USED",
    case when held.pod is null then 70.5 else 400.0 + noise / 4 end as "DCGM_FI_DEV_POWER_USAGE"
from samples
left join held
    on samples.n = held.n and samples.g >= held.first_gpu and samples.g < held.next_gpu
    and samples.second >= held.from_second and samples.second < held.to_second
order by scraped_at, samples.n, g
"""

# The intervals of jobs that began that day (on the first day also what was running already), with their ends.
_INTERVALS = """
select
    workload_type, workload_id, attempt_id, make_timestamp(from_second * 1000000) as started_at, make_timestamp(to_second * 1000000) as ended_at,
    'Completed' as state, hostname,
    case when is_named then to_json([('GPU-' || printf('%016x', hash(n, g))) for g in range(group_index * group_gpus, (group_index + 1) * group_gpus)])::varchar end as gpu_ids,
    case when not is_named then group_gpus end as gpu_count,
    namespace, pod, to_json({'team': namespace, 'project': 'project-' || hash(workload_id) % 150, 'model': 'model-' || hash(workload_id) % 9})::varchar as labels
from holds
where from_second < epoch(getvariable('day')::timestamp) + 86400
    and to_second > epoch(getvariable('day')::timestamp)
    and (from_second >= epoch(getvariable('day')::timestamp) or getvariable('day') = getvariable('history_from'))
order by from_second, n, group_index
"""

_INVENTORY = """
select hostname, 'aws' as provider, resource_id, 8 as gpu_count, 'NVIDIA H100 80GB HBM3' as gpu_model, 192.0 as vcpus, 2048.0 as memory_gib, pool,
    'eks-bench' as cluster, 'us-east-1a' as zone, timestamp '2026-08-01' as valid_from, null::timestamp as valid_to,
    to_json({'team': team, 'environment': 'research'})::varchar as labels, to_json([volume_id])::varchar as volumes,
    to_json([{'uuid': 'GPU-' || printf('%016x', hash(n, g)), 'index': g::varchar} for g in range(8)])::varchar as gpus
from nodes order by n
"""


def write_settings(folder: Path, memory_limit: str) -> Path:
    """The settings file of a company below ``folder``."""
    sources = [
        {"name": "aws", "kind": "aws_cur", "location": "./aws", "export": EXPORT},
        {"name": "dcgm", "kind": "dcgm", "location": "./telemetry", "slot_seconds": SLOT_SECONDS},
        {"name": "inventory", "kind": "nodes", "location": "./nodes"},
        {"name": "kubernetes", "kind": "workloads", "location": "./workloads"},
    ]
    path = folder / "apportion.yml"
    path.write_text(yaml.safe_dump({"sources": sources, "engine": {"memory_limit": memory_limit}}, sort_keys=False), encoding="utf-8")
    return path


def write_company(folder: Path, size: Size, day_count: int, *, memory_limit: str = "1500MB") -> Path:
    """Let ``folder`` hold the first ``day_count`` days; days that are there already stay as they are. Returns the settings file."""
    last = FIRST_DAY + dt.timedelta(days=day_count - 1)
    with company.connect(size, FIRST_DAY, last) as connection:
        company.set_variable(connection, "history_from", FIRST_DAY)
        _write(connection, _INVENTORY, folder / "nodes" / "nodes.parquet")
        for offset in range(day_count):
            day = FIRST_DAY + dt.timedelta(days=offset)
            company.set_variable(connection, "day", day)
            for kind, query in (("telemetry", _SAMPLES), ("workloads", _INTERVALS)):
                _write(connection, query, folder / kind / f"{day}.parquet")
        write_bill(connection, folder / "aws", FIRST_DAY.replace(day=1), day_count, size.charges)
    return write_settings(folder, memory_limit)


def _write(connection: company.duckdb.DuckDBPyConnection, query: str, path: Path) -> None:
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    connection.execute(f"copy ({query}) to {quote_text(str(path))} (format parquet, compression zstd)")
