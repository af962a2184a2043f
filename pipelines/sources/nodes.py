"""Node inventories: which machine is which billed resource, with its GPUs and its validity.

Belongs here: the columns and spellings of an inventory file. Does not: the join with bills and telemetry (dbt).
"""

from __future__ import annotations

from pipelines.ingestion.file_source import Converted, FileSource, Incoming
from pipelines.ingestion.records import json_of, land_records, open_records, text_list
from pipelines.landing import Staging
from pipelines.source import Column, RawTable

NODES = RawTable(
    "nodes",
    "One machine over one validity interval: the name telemetry knows it by, and the resource the bill knows it by.",
    (
        Column("hostname", "VARCHAR", "The name telemetry uses for the machine."),
        Column("provider", "VARCHAR", "Who bills it: aws, gcp, or any name."),
        Column("resource_id", "VARCHAR", "The billed resource: an EC2 instance id, a GCP instance name, global_name or numeric id."),
        Column("gpu_count", "BIGINT", "Physical GPUs of the machine."),
        Column("gpu_model", "VARCHAR", "GPU model as the vendor writes it."),
        Column("gpu_sharing", "VARCHAR", "How its GPUs are shared: none, time_slicing, mps or vgpu; NULL: not told."),
        Column("gpu_replicas", "BIGINT", "Shares into which each GPU is cut where it is shared."),
        Column("vcpus", "DOUBLE", "Virtual CPUs."),
        Column("memory_gib", "DOUBLE", "Memory in GiB."),
        Column("pool", "VARCHAR", "Node pool or node group."),
        Column("cluster", "VARCHAR", "Cluster the machine belongs to."),
        Column("zone", "VARCHAR", "Availability zone."),
        Column("valid_from", "TIMESTAMP", "First instant this row holds, UTC; NULL: from the beginning."),
        Column("valid_to", "TIMESTAMP", "First instant this row no longer holds, UTC; NULL: still valid."),
        Column("labels", "JSON", "JSON object of the machine's labels or tags."),
        Column("aliases", "JSON", "JSON array of other hostnames of the same machine."),
        Column("volumes", "JSON", "JSON array of attached volume ids, as billed."),
        Column("gpus", "JSON", "JSON array of {uuid, index, pci_bus_id}."),
    ),
)

ALIASES = {
    "hostname": ("hostname", "host", "node", "node_name"),
    "resource_id": ("resource_id", "instance_id"),
    "gpu_count": ("gpu_count", "gpus_count", "num_gpus"),
    "zone": ("zone", "availability_zone"),
}


class Nodes(FileSource):
    """An inventory file (CSV, JSON, Parquet) of machines."""

    kind = "nodes"
    description = "Inventory of GPU nodes: hostname, billed resource id, GPU count, validity."
    tables = (NODES,)
    formats = ("csv", "tsv", "json", "parquet")

    def convert(self, incoming: Incoming, staging: Staging) -> Converted:
        """One inventory file; a Kubernetes ``provider_id`` (``aws:///zone/i-0ab``, ``gce://project/zone/name``) is taken apart."""
        with open_records(incoming) as records:
            records.require([ALIASES["hostname"], (*ALIASES["resource_id"], "provider_id"), ALIASES["gpu_count"]], incoming.where)
            provider_id = records.text("provider_id")
            scheme = f"lower(regexp_extract({provider_id}, '^([A-Za-z0-9+.-]+)://', 1))"
            provider = f"CASE {scheme} WHEN 'gce' THEN 'gcp' ELSE nullif({scheme}, '') END"
            last_part = f"nullif(regexp_extract({provider_id}, '^[A-Za-z0-9+.-]+://.*?([^/]+)/?$', 1), '')"
            expressions = {
                "provider": f"coalesce({records.text('provider')}, {provider})",
                "resource_id": f"coalesce({records.text(*ALIASES['resource_id'])}, {last_part})",
                "aliases": text_list(records.text("aliases")),
                "volumes": text_list(records.text("volumes")),
                "gpus": json_of(records.text("gpus"), "ARRAY"),
            }
            return land_records(
                records,
                incoming,
                staging,
                NODES,
                aliases=ALIASES,
                expressions=expressions,
                given={c: (records.text(c), expressions[c]) for c in ("aliases", "volumes", "gpus")},
                unusable={
                    "no hostname": "hostname IS NULL",
                    "no resource_id, and no provider_id that holds one": "resource_id IS NULL",
                    "no gpu_count, or not a whole number from 0": "gpu_count IS NULL OR gpu_count < 0",
                    "valid_to is not after valid_from": "valid_to <= valid_from",
                    "gpu_sharing is none of none, time_slicing, mps, vgpu": "gpu_sharing NOT IN ('none', 'time_slicing', 'mps', 'vgpu')",
                    "gpu_replicas is less than 1": "gpu_replicas < 1",
                },
                span=("valid_from", "valid_to"),
            )
