"""DCGM telemetry: GPU samples with the labels of the workload that held the GPU.

Belongs here: the names DCGM exporters have given labels, and which file shape becomes which raw table. Does not: the names of metrics
(ingestion/dcgm_names.py), the Prometheus wire and page formats (prometheus.py, exposition.py), nor which label wins or what a value means (dbt).

Shapes: a Prometheus server; saved answers and VictoriaMetrics export lines (.json, .jsonl); pages (.prom, .txt); Parquet and CSV,
long (timestamp, metric, value, labels) or wide (one column per metric). Parquet is landed as it is.
"""

from __future__ import annotations

from typing import Any, ClassVar

import pyarrow as pa
from pydantic import Field

from pipelines.errors import DeliveryRefused
from pipelines.ingestion import dcgm_names
from pipelines.ingestion.as_is import land_as_is, named
from pipelines.ingestion.file_source import Converted, Incoming
from pipelines.ingestion.parquet_files import parquet_facts
from pipelines.ingestion.prometheus_source import PrometheusConfig, PrometheusSource
from pipelines.ingestion.records import Records, land_records, open_records
from pipelines.ingestion.rejects import Rejects
from pipelines.ingestion.samples import NAME, TEXT, SampleBatch
from pipelines.ingestion.tabular import identifier, literal
from pipelines.landing import Staging
from pipelines.source import Column, RawTable, SourceConfig

# raw column -> (description, the names it has had). Old names come first: where a page has pod_name and pod, pod is the exporter's.
# dcgm-exporter: Hostname until 4.8.1, hostname since; UUID or uuid; gpu_uuid and model_name on NVLink rows; pod_name, pod_namespace and
# container_name with --use-old-namespace and in gpu-monitoring-tools. Google's dcgm receiver: gpu.number, gpu.uuid, gpu.model, as labels
# gpu_number, uuid, model. OpenTelemetry's Kubernetes attributes: k8s.*, host.name; with _ through Prometheus. exported_*: a scrape that kept
# its own labels (honor_labels off).
LABELS: dict[str, tuple[str, tuple[str, ...]]] = {
    "hostname": (
        "The exporter's name for the machine.",
        (
            "Hostname",
            "hostname",
            "exported_hostname",
            "host.name",
            "host_name",
            "k8s.node.name",
            "k8s_node_name",
            "node",
            "kubernetes_node",
        ),
    ),
    "gpu_uuid": ("GPU uuid.", ("UUID", "uuid", "gpu_uuid", "gpu.uuid")),
    "gpu_index": ("GPU index on its machine.", ("gpu", "gpu_index", "gpu.number", "gpu_number")),
    "pci_bus_id": ("PCI bus id.", ("pci_bus_id",)),
    "gpu_model": ("Model name.", ("modelName", "modelname", "model_name", "gpu_model", "gpu.model", "model")),
    "mig_profile": ("MIG profile of the instance, such as 1g.10gb.", ("GPU_I_PROFILE", "gpu_i_profile", "mig_profile")),
    "mig_instance_id": ("MIG instance id on its GPU.", ("GPU_I_ID", "gpu_i_id", "mig_instance_id")),
    "namespace": (
        "Label namespace: the workload's, or the exporter's own.",
        ("pod_namespace", "namespace", "k8s.namespace.name", "k8s_namespace_name"),
    ),
    "pod": ("Label pod: the workload's, or the exporter's own.", ("pod_name", "pod", "k8s.pod.name", "k8s_pod_name")),
    "container": (
        "Label container: the workload's, or the exporter's own.",
        ("container_name", "container", "k8s.container.name", "k8s_container_name"),
    ),
    "pod_uid": ("Kubernetes pod uid.", ("pod_uid", "k8s.pod.uid", "k8s_pod_uid")),
    "exported_namespace": ("The workload's namespace where namespace is the exporter's.", ("exported_namespace",)),
    "exported_pod": ("The workload's pod where pod is the exporter's.", ("exported_pod",)),
    "exported_container": ("The workload's container where container is the exporter's.", ("exported_container",)),
    "hpc_job": ("Job id from the exporter's job mapping.", ("hpc_job",)),
    "vgpu": ("Virtual GPU of a shared GPU.", ("vgpu",)),
    "exporter": ("Tells two exporters of one GPU apart: instance, else job.", ("instance", "job", "exporter")),
}
WIDE: dict[str, tuple[str, str]] = {
    "sm_active": ("SM activity, a ratio.", "DCGM_FI_PROF_SM_ACTIVE"),
    "gr_engine_active": ("Graphics engine activity, a ratio.", "DCGM_FI_PROF_GR_ENGINE_ACTIVE"),
    "gpu_util": ("GPU utilization, percent.", "DCGM_FI_DEV_GPU_UTIL"),
    "fb_used_mib": ("Frame buffer used, MiB.", "DCGM_FI_DEV_FB_USED"),
    "power_w": ("Power, watts.", "DCGM_FI_DEV_POWER_USAGE"),
    "energy_mj": ("Energy since the driver was loaded, millijoules: a counter.", "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"),
}
TIME = ("sample_at", "timestamp", "ts", "time", "_time", "datetime")
METRIC = ("metric", "metric_name", NAME, "name")
VALUE = ("value", "metric_value")
LABEL_COLUMN = ("labels", "tags", "attributes")
UNKNOWN_ACTIVITY = "looks like activity, under a name that is not known (row kept)"
KNOWS_GPU = ("gpu_uuid", "gpu_index", "pci_bus_id")

_COMMON = (
    Column("sample_at", "TIMESTAMP", "The sample's instant, UTC."),
    *(Column(name, "VARCHAR", description) for name, (description, _) in LABELS.items()),
    Column(
        "slot_seconds", "BIGINT", "Seconds per slot (the scrape interval); NULL in files landed as they are: the source's option holds."
    ),
)
SAMPLES_LONG = RawTable(
    "samples_long",
    "One value of one metric of one series at one instant.",
    (*_COMMON, Column("metric", "VARCHAR", "DCGM metric id as it stands."), Column("value", "DOUBLE", "Value as it stands, NaN included.")),
)
SAMPLES_WIDE = RawTable(
    "samples_wide",
    "The values of one series at one instant, a column per metric.",
    (*_COMMON, *(Column(name, "DOUBLE", description) for name, (description, _) in WIDE.items())),
)


class DcgmConfig(PrometheusConfig):
    """``hostname`` names the machine of pages whose lines do not."""

    hostname: str | None = Field(default=None, description="the machine of text pages whose lines do not name one")


class Dcgm(PrometheusSource):
    """GPU telemetry of DCGM exporters."""

    kind = "dcgm"
    description = "GPU activity and workload labels from NVIDIA DCGM exporters."
    tables = (SAMPLES_WIDE, SAMPLES_LONG)
    config_model: ClassVar[type[SourceConfig]] = DcgmConfig
    formats = ("json", "exposition", "text", "csv", "tsv", "parquet")
    sample_table = "samples_long"
    schema = pa.schema(
        [
            ("sample_at", pa.timestamp("us")),
            *((name, TEXT) for name in LABELS),
            ("slot_seconds", pa.int64()),
            ("metric", TEXT),
            ("value", pa.float64()),
        ]
    )
    default_metrics = tuple(metric for _, metric in WIDE.values())
    config: DcgmConfig

    def select(self, batch: SampleBatch, rejects: Rejects) -> SampleBatch:
        """DCGM metrics; others of a page (the exporter's own) are counted and left out. What looks like activity under an unknown name is told."""
        kept, other = batch.where(lambda labels: dcgm_names.is_dcgm(labels.get(NAME, "")))
        if len(other):
            rejects.add("not a DCGM metric", len(other), row=other.series[int(other.index[0])].get(NAME))
        unknown, _ = kept.where(lambda labels: dcgm_names.is_unknown_activity(labels.get(NAME, "")))
        if len(unknown):
            rejects.add(UNKNOWN_ACTIVITY, len(unknown), row=unknown.series[int(unknown.index[0])].get(NAME))
        return kept

    def project(self, batch: SampleBatch) -> pa.Table:
        """Labels under the raw columns' names."""
        columns = {name: batch.label(names) for name, (_, names) in LABELS.items()}
        if self.config.hostname:
            columns["hostname"] = batch.text(
                lambda labels: next((labels[n] for n in LABELS["hostname"][1] if labels.get(n)), self.config.hostname)
            )
        slots = pa.repeat(pa.scalar(self.config.slot_seconds, pa.int64()), len(batch))
        return pa.table(
            {"sample_at": batch.at(), **columns, "slot_seconds": slots, "metric": batch.label([NAME]), "value": batch.value}
        ).select(self.schema.names)

    def convert(self, incoming: Incoming, staging: Staging) -> Converted:
        """One file of any shape."""
        if incoming.format == "parquet":
            rows, types = parquet_facts(incoming.path, incoming.where)
            keys = {own: _label_keys(incoming, own, types[own]) for own in named(types, LABEL_COLUMN)}
            if None not in keys.values():  # otherwise no column map can reach into the labels
                return self._land_parquet(incoming, staging, rows, types, {own: k for own, k in keys.items() if k is not None})
        if incoming.format in ("csv", "tsv", "parquet"):
            return self._convert_table(incoming, staging)
        return super().convert(incoming, staging)

    def _land_parquet(
        self, incoming: Incoming, staging: Staging, rows: int, types: dict[str, str], label_keys: dict[str, tuple[str, ...]]
    ) -> Converted:
        table = _shape(list(types), incoming.where)
        columns: dict[str, str | list[str]] = {}

        def find(raw: str, names: tuple[str, ...]) -> None:
            found = named(types, names) + [f"{own}.{n}" for own, keys in label_keys.items() for n in names if n in keys]
            if found:
                columns[raw] = found[0] if len(found) == 1 else found

        for raw, (_, names) in LABELS.items():
            find(raw, names)
        time = named(types, TIME)[0]
        columns["sample_at"] = time
        find("slot_seconds", ("slot_seconds",))
        missing = {}
        if table is SAMPLES_LONG:
            find("metric", METRIC)
            columns["value"] = named(types, VALUE)[0]
            missing = {"no value (row kept in the file)": f"{identifier(str(columns['value']))} IS NULL"}
            missing |= {UNKNOWN_ACTIVITY: dcgm_names.unknown_activity_sql(identifier(own)) for own in named(types, METRIC)[:1]}  # noqa: B035
        else:
            for raw in WIDE:
                find(raw, wide_names(raw))
            missing = {
                f"{UNKNOWN_ACTIVITY}: {own}": f"{identifier(own)} IS NOT NULL" for own in types if dcgm_names.is_unknown_activity(own)
            }
        incoming.origin["slot_seconds"] = self.config.slot_seconds
        return land_as_is(incoming, staging, table.name, rows=rows, types=types, columns=columns, time=time, missing=missing)

    def _convert_table(self, incoming: Incoming, staging: Staging) -> Converted:
        with open_records(incoming) as records:
            table = _shape(records.names, incoming.where)
            labels = records.text(*LABEL_COLUMN)
            expressions = {raw: _csv_label(records, labels, names) for raw, (_, names) in LABELS.items()}
            if self.config.hostname:
                expressions["hostname"] = f"coalesce({expressions['hostname']}, {literal(self.config.hostname)})"
            expressions["slot_seconds"] = str(self.config.slot_seconds)
            values = {"value": VALUE} if table is SAMPLES_LONG else {raw: wide_names(raw) for raw in WIDE}
            number = {raw: f"try_cast({records.text(*names)} AS DOUBLE)" for raw, names in values.items()}  # NaN is kept as NaN
            unusable = {"no timestamp, or it cannot be read": "sample_at IS NULL"}
            if table is SAMPLES_LONG:
                expressions["metric"] = _csv_label(records, labels, METRIC)
                unusable |= {"no metric": "metric IS NULL", "no readable value": "value IS NULL"}
            landed = land_records(
                records,
                incoming,
                staging,
                table,
                aliases={"sample_at": TIME},
                expressions={**expressions, **number},
                given={raw: (records.text(*names), number[raw]) for raw, names in values.items()},
                unusable=unusable,
                span=("sample_at", "sample_at"),
            )
            return Converted(landed.covers, [*landed.rejected, *_unknown_activity(records, table, expressions, incoming.key)])


def _unknown_activity(records: Records, table: RawTable, expressions: dict[str, str], key: str) -> list[dict[str, Any]]:
    """What looks like activity under a name that is not known: counted, since its rows are read and tell nothing."""
    rejects = Rejects(key)
    if table is SAMPLES_LONG:
        conditions = {UNKNOWN_ACTIVITY: dcgm_names.unknown_activity_sql(expressions["metric"])}
    else:
        unknown = [name for name in records.names if dcgm_names.is_unknown_activity(name)]
        conditions = {f"{UNKNOWN_ACTIVITY}: {name}": f"{records.text(name)} IS NOT NULL" for name in unknown}
    for reason, condition in conditions.items():
        count, row = records.con.execute(f"SELECT count(*), min(_row) FROM records WHERE {condition}").fetchone()  # type: ignore[misc]  # noqa: S608
        rejects.add(reason, count, row=row)
    return rejects.entries()


def wide_names(raw: str) -> tuple[str, ...]:
    """The names, in lower case, that a wide file may give the column ``raw``."""
    return (*dcgm_names.column_names(raw), raw)


def _csv_label(records: Records, labels: str, names: tuple[str, ...]) -> str:
    inside = [f"nullif(CASE WHEN json_valid({labels}) THEN json_extract_string({labels}, {literal('/' + n)}) END, '')" for n in names]
    return f"coalesce({', '.join([records.text(*names), *(inside if records.has(*LABEL_COLUMN) else [])])}, NULL)"


def _shape(names: list[str], where: str) -> RawTable:
    """Long or wide, by column names; refused where neither fits."""
    lower = {n.lower() for n in names}
    has_labels = not lower.isdisjoint(LABEL_COLUMN)
    knows_gpu = has_labels or any(n.lower() in lower for raw in KNOWS_GPU for n in LABELS[raw][1])
    if knows_gpu and not lower.isdisjoint(TIME):
        if not lower.isdisjoint(VALUE) and (has_labels or not lower.isdisjoint(METRIC)):
            return SAMPLES_LONG
        if any(not lower.isdisjoint(wide_names(raw)) for raw in WIDE):
            return SAMPLES_WIDE
    raise DeliveryRefused(
        f"neither long nor wide GPU samples; found the columns: {', '.join(names[:40])}",
        where=where,
        remedy="long needs timestamp, metric, value; wide needs timestamp and columns named by metric (DCGM_FI_DEV_GPU_UTIL, ...);"
        " both need the GPU: UUID, gpu or pci_bus_id, as columns or in labels",
    )


def _label_keys(incoming: Incoming, own: str, kind: str) -> tuple[str, ...] | None:
    """The labels a column map can reach in a label column: any in a map of text, the fields of a struct of text, else None."""
    import pyarrow.parquet as pq

    if kind == "MAP(VARCHAR, VARCHAR)":
        return tuple(name for _, names in LABELS.values() for name in names) + METRIC
    if kind.startswith("STRUCT("):
        fields = list(pq.read_schema(incoming.path).field(own).type)
        if all(pa.types.is_string(f.type) or pa.types.is_large_string(f.type) for f in fields):
            return tuple(f.name for f in fields)
    return None
