"""The dbt manifest that the asset graph is read from.

Belongs here: producing it where it is missing, and reading names out of it. Does not: running models (pipelines/dbt.py).

The manifest's folder is named by the digest of the dbt project, so that it is never stale; parsing needs neither network nor data.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from pipelines import dbt, planning
from pipelines.settings import Settings, load_settings


@cache
def manifest() -> dict[str, Any]:
    """The manifest of the dbt project as it is now, with each law shown at a model."""
    content = json.loads(manifest_path(load_settings()).read_text(encoding="utf-8"))
    _place_laws(content)
    return content


def manifest_path(settings: Settings) -> Path:
    """Where the manifest of the project as it is now lies; it is produced where it is missing."""
    folder = settings.dagster_home / "manifests"
    path = folder / planning.code_digest()[:16] / "manifest.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(dir=folder, prefix=".parsing-"))
        try:
            dbt.invoke(settings, ["parse", "--target-path", str(scratch)])
            path.parent.mkdir(exist_ok=True)
            os.replace(scratch / path.name, path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
        for old in folder.iterdir():
            if old != path.parent and not old.name.startswith("."):
                shutil.rmtree(old, ignore_errors=True)
    return path


def owners(content: dict[str, Any], group: str) -> list[str]:
    """The owner of a dbt group, as Dagster writes it."""
    return [content["groups"][f"group.{content['metadata']['project_name']}.{group}"]["owner"]["email"]]


def sources(content: dict[str, Any], source_name: str) -> list[dict[str, Any]]:
    """The tables of one dbt source, by name."""
    return sorted((s for s in content["sources"].values() if s["source_name"] == source_name), key=lambda s: s["name"])


def published_keys(content: dict[str, Any]) -> list[list[str]]:
    """The asset keys of the models in dbt's group ``published``."""
    models = [node for node in content["nodes"].values() if node["resource_type"] == "model" and node.get("group") == "published"]
    return sorted([node["config"]["schema"], node["name"]] for node in models)


def _place_laws(content: dict[str, Any]) -> None:
    """Show every law that reads several models as a check of the most derived of them; Dagster would show it nowhere."""
    nodes = content["nodes"]

    @cache
    def depth(unique_id: str) -> int:
        return 1 + max((depth(parent) for parent in nodes[unique_id]["depends_on"].get("nodes", []) if parent in nodes), default=0)

    for node in nodes.values():
        models = [parent for parent in node["depends_on"].get("nodes", []) if parent in nodes]
        if node["resource_type"] == "test" and not node.get("attached_node") and len(models) > 0:
            last = max(models, key=lambda unique_id: (depth(unique_id), unique_id))
            node["config"].setdefault("meta", {}).setdefault("dagster", {}).setdefault("ref", {"name": nodes[last]["name"]})
