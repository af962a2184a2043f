"""The part of the dbt project that makes charges, as a project of its own.

Belongs here: which files it takes, and its parsed form, kept between explanations. Does not: running it (rebuild.py). dbt reads a whole
project before it builds any of it: measured, 11 of an explanation's 18 s for all models, 7 of 13 s for these, less than 1 s from what is kept.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pipelines.dbt import PROJECT
from pipelines.facts import staged_models
from pipelines.settings import Settings

ANALYSES = ("keyed_charges", "charge_shares", "pool_shares")
_MODEL = "int_charges"
_REF = re.compile(r"\bref\(\s*'([^']+)'")
_STAGED = re.compile(r"\bstaged\(\s*'([^']+)'")


def needed_models(model: str = _MODEL) -> dict[str, Path]:
    """``model`` and every model and seed that it reads, directly or not, by name. What a macro reads counts as read."""
    files = {path.stem: path for folder, kind in (("models", "sql"), ("seeds", "csv")) for path in (PROJECT / folder).rglob(f"*.{kind}")}
    waiting = [model, *(name for path in (PROJECT / "macros").glob("*.sql") for name in _reads(path))]
    needed: dict[str, Path] = {}
    while waiting:
        name = waiting.pop()
        if name in files and name not in needed:
            needed[name] = files[name]
            waiting += _reads(files[name])
    return needed


def _reads(path: Path) -> list[str]:
    if path.suffix != ".sql":
        return []
    text = path.read_text(encoding="utf-8")
    return [*_REF.findall(text), *(model for fact in _STAGED.findall(text) for model in staged_models(fact))]


def write_project(folder: Path) -> Path:
    """Copy what ``int_charges`` and explain's analyses need into ``folder``: models, macros, seeds, source declarations; no tests."""
    wanted = [*needed_models().values(), *(PROJECT / "analyses" / f"{name}.sql" for name in ANALYSES), *(PROJECT / "macros").glob("*.sql")]
    wanted += [PROJECT / "dbt_project.yml", PROJECT / "profiles.yml", *(PROJECT / "models").glob("*.yml")]
    wanted += [*(PROJECT / "models").rglob("_*sources.yml"), *(PROJECT / "seeds").glob("*.yml")]
    for path in wanted:
        target = folder / path.relative_to(PROJECT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return folder


def parsed_project(settings: Settings, code_digest: str, project: Path) -> Any | None:
    """dbt's manifest of the same code, if an earlier explanation kept it, for the files in ``project``; None where it cannot be read."""
    from dbt.contracts.graph.manifest import Manifest

    try:
        manifest = Manifest.from_msgpack(_kept(settings, code_digest).read_bytes())
    except (OSError, ValueError, TypeError, KeyError):
        return None
    for node in manifest.nodes.values():
        if getattr(node, "root_path", None):  # a seed is read from where it was parsed
            node.root_path = str(project)
    return manifest


def keep_parsed(settings: Settings, code_digest: str, parsed: Path) -> None:
    """Keep what dbt parsed (its ``partial_parse.msgpack``) for the next explanation; older ones go. A home that is read-only keeps nothing."""
    kept = _kept(settings, code_digest)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=kept.parent)
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(parsed.read_bytes())
        os.replace(name, kept)
        for other in kept.parent.glob("*.msgpack"):
            if other != kept:
                other.unlink(missing_ok=True)
    except OSError:
        return


def _kept(settings: Settings, code_digest: str) -> Path:
    key = hashlib.sha256(f"{code_digest} {version('dbt-core')} {version('dbt-duckdb')}".encode()).hexdigest()[:16]
    return settings.home / "dbt" / "explain" / f"{key}.msgpack"
