"""The reference pages that are derived: docs/settings.md from the settings' schema, docs/tables.md from the published contracts,
docs/history.md from the descriptions of history.duckdb.

`python -m pipelines.reference` writes them; a test asserts that they are up to date, so that no page describes what is not there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from pipelines.history.descriptions import DESCRIPTIONS
from pipelines.settings import REPOSITORY, EngineSettings, PublishSettings, SettingsFile
from pipelines.source import SourceConfig, source_kinds

MARTS = REPOSITORY / "dbt_project" / "models" / "marts"


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    return "none" if value is None else f"`{value}`"


def _options(model: type[BaseModel], skip: frozenset[str] = frozenset()) -> list[str]:
    lines = ["| option | default | meaning |", "|---|---|---|"]
    for name, entry in model.model_fields.items():
        if name not in skip:
            lines.append(f"| `{name}` | {_default(entry.default)} | {entry.description or ''} |")
    return lines


def settings_page() -> str:
    """docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "One YAML file says where things are: `apportion.yml`, or what `--config` or `$APPORTION_CONFIG` names. Business rules are not here:",
        "they are in [the policy file](policy.md). Secrets are not here either: cloud credentials come from each vendor's own chain.",
        "Relative paths are relative to the file. An unknown option is an error. Everything a run writes lies under `$APPORTION_HOME`",
        "(or `--home`, default `data/`). This page is generated from the schema (`python -m pipelines.reference`).",
        "",
        *_options(SettingsFile, frozenset({"engine", "publish"})),
        "",
        "`engine:`",
        "",
        *_options(EngineSettings),
        "",
        "`publish:`",
        "",
        *_options(PublishSettings),
        "",
        "## Sources",
        "",
        "Each entry under `sources:` has:",
        "",
        *_options(SourceConfig),
    ]
    common = frozenset({"name", "kind", "endpoint_url"})
    for kind, source in source_kinds().items():
        tables = ", ".join(f"`raw.{kind}__{t.name}`" for t in source.tables)
        lines += ["", f"### {kind}", "", f"{source.description.rstrip('.')}. Lands {tables}.", "", *_options(source.config_model, common)]
    return "\n".join(lines) + "\n"


def tables_page() -> str:
    """docs/tables.md."""
    models = [m for path in sorted(MARTS.rglob("*.yml")) for m in yaml.safe_load(path.read_text(encoding="utf-8")).get("models", [])]
    lines = [
        "# Published tables",
        "",
        "What BI reads, in `published/apportion.duckdb` and as Parquet under `published/parquet/<table>/`. The contracts below are enforced",
        "when the tables are built. This page is generated from them (`python -m pipelines.reference`).",
    ]
    for model in sorted(models, key=lambda m: m["name"]):
        lines += [
            "",
            f"## {model['name']}",
            "",
            " ".join(str(model["description"]).split()),
            "",
            "| column | type | meaning |",
            "|---|---|---|",
        ]
        for column in model["columns"]:
            lines.append(f"| `{column['name']}` | {column['data_type']} | {' '.join(str(column['description']).split())} |")
    return "\n".join(lines) + "\n"


def history_page() -> str:
    """docs/history.md."""
    lines = [
        "# Tables of the history",
        "",
        "What BI reads about time, in `published/history.duckdb`; see [time.md](time.md). Open it as [the release](reading.md), read-only: it is",
        "built anew after each publication. This page is generated (`python -m pipelines.reference`).",
    ]
    for table, (description, columns) in DESCRIPTIONS.items():
        lines += ["", f"## {table}", "", f"{description}", "", "| column | meaning |", "|---|---|"]
        lines += [f"| `{name}` | {text} |" for name, text in columns.items()]
    return "\n".join(lines) + "\n"


PAGES = {"settings.md": settings_page, "tables.md": tables_page, "history.md": history_page}


def write(folder: Path = REPOSITORY / "docs") -> None:
    """Write every derived page."""
    folder.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (folder / name).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    write()
