"""Request logs: one row per inference request, from any gateway or from LiteLLM's spend logs.

Belongs here: the names such logs give their columns. Does not: counting requests per endpoint and window (dbt).

Parquet is landed as it is where a column map can say everything; a fixed endpoint name or LiteLLM's milliseconds need a conversion.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, field_validator

from pipelines.errors import DeliveryRefused
from pipelines.ingestion.as_is import land_as_is, named
from pipelines.ingestion.file_source import Converted, FileConfig, FileSource, Incoming
from pipelines.ingestion.parquet_files import parquet_facts
from pipelines.ingestion.records import Records, finite, json_of, land_records, open_records
from pipelines.ingestion.tabular import literal
from pipelines.landing import Staging
from pipelines.source import Column, RawTable, SourceConfig

REQUESTS = RawTable(
    "requests",
    "One inference request.",
    (
        Column("request_at", "TIMESTAMP", "When the request came, UTC."),
        Column("ended_at", "TIMESTAMP", "When it was answered, UTC."),
        Column("endpoint", "VARCHAR", "The endpoint's name."),
        Column("replica", "VARCHAR", "The replica that answered."),
        Column("request_id", "VARCHAR", "The request's id."),
        Column("status", "VARCHAR", "success, failure, or an HTTP status, as the log has it."),
        Column("prompt_tokens", "BIGINT", "Prompt tokens."),
        Column("cached_tokens", "BIGINT", "Prompt tokens served from cache."),
        Column("output_tokens", "BIGINT", "Generated tokens."),
        Column("latency_seconds", "DOUBLE", "End-to-end latency, seconds."),
        Column("model", "VARCHAR", "Model that answered."),
        Column("model_version", "VARCHAR", "Version of the model that answered."),
        Column("provider", "VARCHAR", "Who serves the model, as LiteLLM names providers; NULL: one's own servers."),
        Column("cache_hit", "VARCHAR", "Whether the gateway's own cache answered, as the log has it."),
        Column("team_id", "VARCHAR", "Caller's team."),
        Column("spend", "MONEY", "What the gateway reckons that the request costs, in US dollars by its price map."),
        Column("labels", "JSON", "JSON object of anything else that names an owner."),
    ),
)
NAMES = tuple(c.name for c in REQUESTS.columns)
PLAIN = {
    "request_at": ("request_at", "timestamp", "time", "start_time", "started_at"),
    "ended_at": ("ended_at", "end_time"),
    "endpoint": ("endpoint", "service"),
    "replica": ("replica", "pod"),
    "status": ("status", "status_code"),
    "output_tokens": ("output_tokens", "completion_tokens", "generated_tokens"),
    "provider": ("provider", "custom_llm_provider"),
}
LITELLM = {
    "request_at": ("startTime",),
    "ended_at": ("endTime",),
    "endpoint": ("model_group",),
    "output_tokens": ("completion_tokens",),
    "provider": ("custom_llm_provider",),
    "latency_seconds": ("request_duration_ms",),  # converted, never landed as it is
}
LITELLM_LABELS = ("request_tags", "user", "end_user", "organization_id", "call_type", "cache_hit", "custom_llm_provider", "model_id")


class InferenceRequestsConfig(FileConfig):
    """``endpoint``: the name where the log has none. ``columns``: raw column -> the log's own. ``format``: auto, litellm or plain."""

    endpoint: str | None = Field(default=None, description="the endpoint's name, where the log has no such column")
    columns: dict[str, str] = Field(default={}, description="raw column -> the log's own column, such as `request_at: TIMESTAMP`")
    format: Literal["auto", "litellm", "plain"] = Field(default="auto", description="whether this is a LiteLLM spend log")
    hosting: Literal["by_provider", "self_hosted"] = Field(
        default="by_provider",
        description="`self_hosted`: every row was answered by servers of your own, whatever the provider is called (vLLM behind `openai`)",
    )

    @field_validator("columns")
    @classmethod
    def _known(cls, value: dict[str, str]) -> dict[str, str]:
        if unknown := sorted(set(value) - set(NAMES)):
            raise ValueError(f"not columns of a request log: {', '.join(unknown)}; there are: {', '.join(NAMES)}")
        return value


class InferenceRequests(FileSource):
    """Request logs and LiteLLM spend logs."""

    kind = "inference_requests"
    description = "Inference requests with their tokens, from request logs or LiteLLM."
    tables = (REQUESTS,)
    config_model: ClassVar[type[SourceConfig]] = InferenceRequestsConfig
    formats = ("csv", "tsv", "json", "parquet")
    config: InferenceRequestsConfig

    def convert(self, incoming: Incoming, staging: Staging) -> Converted:
        """One log file."""
        if incoming.format == "parquet":
            rows, types = parquet_facts(incoming.path, incoming.where)
            self._check_columns(list(types), incoming.where)
            litellm = self._is_litellm(list(types), incoming.where)
            found = {raw: named(types, names) for raw, names in self._names(litellm).items()}
            needs_conversion = (self.config.endpoint and not found["endpoint"]) or (litellm and "request_duration_ms" in types)
            if found["request_at"] and not needs_conversion:
                columns = {raw: own[0] if len(own) == 1 else own for raw, own in found.items() if own}
                columns["request_at"] = found["request_at"][0]
                return land_as_is(
                    incoming, staging, REQUESTS.name, rows=rows, types=types, columns=columns, time=found["request_at"][0], missing={}
                )
        with open_records(incoming) as records:
            self._check_columns(records.names, incoming.where)
            litellm = self._is_litellm(records.names, incoming.where)
            names = self._names(litellm)
            records.require([names["request_at"]], incoming.where)
            expressions = {}
            given = {}
            if self.config.endpoint:
                expressions["endpoint"] = f"coalesce({records.text(*names['endpoint'])}, {literal(self.config.endpoint)})"
            if litellm:
                duration = records.text(*names["latency_seconds"])
                in_log = "latency_seconds" not in self.config.columns
                expressions["latency_seconds"] = f"({finite(duration)}) / {1000 if in_log else 1}"
                given["latency_seconds"] = (duration, expressions["latency_seconds"])
                if "labels" not in self.config.columns:
                    expressions["labels"] = _litellm_labels(records)
            return land_records(
                records,
                incoming,
                staging,
                REQUESTS,
                aliases=names,
                expressions=expressions,
                given=given,
                unusable={"no time, or it cannot be read": "request_at IS NULL"},
                span=("request_at", "request_at"),
            )

    def _check_columns(self, names: list[str], where: str) -> None:
        lower = {n.strip().lower() for n in names}
        if missing := [f"{raw}: {own}" for raw, own in self.config.columns.items() if own.lower() not in lower]:
            raise DeliveryRefused(
                f"`columns` names what the log does not have: {', '.join(missing)}; found: {', '.join(names[:40]) or 'no column'}",
                where=where,
                remedy="correct `columns` in the settings",
            )

    def _is_litellm(self, names: list[str], where: str) -> bool:
        looks = {"startTime", "endTime", "completion_tokens"} <= set(names)
        if self.config.format == "litellm" and not looks:
            raise DeliveryRefused(
                f"not a LiteLLM spend log; found the columns: {', '.join(names[:40])}",
                where=where,
                remedy="export LiteLLM_SpendLogs with its own column names, or set `format: plain` and `columns`",
            )
        return looks and self.config.format != "plain"

    def _names(self, litellm: bool) -> dict[str, tuple[str, ...]]:
        known = LITELLM if litellm else PLAIN
        if self.config.hosting == "self_hosted":
            known = known | {"provider": ()}
        return {raw: (self.config.columns[raw],) if raw in self.config.columns else known.get(raw, (raw,)) for raw in NAMES}


def _litellm_labels(records: Records) -> str:
    """SQL: the columns that name an owner as one JSON object; JSON inside stays JSON."""
    present = [n for n in LITELLM_LABELS if records.has(n)]
    pairs = ", ".join(
        f"{literal(n)}, CASE WHEN {json_of(records.text(n), 'ARRAY')} IS NOT NULL THEN CAST({json_of(records.text(n), 'ARRAY')} AS JSON)"
        f" ELSE to_json({records.text(n)}) END"
        for n in present
    )
    return f"nullif(CAST(json_merge_patch('{{}}', json_object({pairs})) AS VARCHAR), '{{}}')" if present else "CAST(NULL AS VARCHAR)"
