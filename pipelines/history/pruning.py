"""Bounding the archive: forgetting releases that were replaced long ago, where the settings say so.

Belongs here: what goes and what stays, readable at every step. Does not: the archive's layout (archive.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from pipelines.history.archive import Archived, root, write_marker
from pipelines.settings import Settings


def prune(settings: Settings, releases: Sequence[Archived], keep_days: int | None, needed: Collection[int] = ()) -> list[Archived]:
    """Forget releases that were replaced more than ``keep_days`` days before the newest one was published; ``None``: never.

    needed: sequences that stay whatever their age (closed periods are compared with them). Returns what is left.
    """
    if keep_days is None or not releases:
        return list(releases)
    horizon = releases[-1].published_at - dt.timedelta(days=keep_days)
    replaced_at = [r.published_at for r in releases[1:]]
    old = {r.sequence for r, until in zip(releases, replaced_at, strict=False) if until < horizon} - set(needed)
    if not old:
        return list(releases)
    kept = [r for r in releases if r.sequence not in old]
    rebased: list[Archived] = []
    for release in kept:  # each against the kept one before it; complete ones first, so that a killed pruning leaves a readable archive
        before = rebased[-1] if rebased else None
        known = before.files if before else {}
        rebased.append(
            replace(release, changed=frozenset(k for k, f in release.files.items() if k not in known or known[k].sha256 != f.sha256))
        )
    for release in rebased:
        write_marker(settings, release, None)
    for release in releases:
        if release.sequence in old:
            (root(settings) / "releases" / f"{release.name}.json").unlink()
    for number, release in enumerate(rebased[1:], start=1):
        write_marker(settings, release, rebased[number - 1])
    _remove_unreferenced(settings, rebased)
    return rebased


def _remove_unreferenced(settings: Settings, releases: Iterable[Archived]) -> None:
    wanted = {file.sha256 for release in releases for file in release.files.values()} | {release.comments for release in releases}
    for path in (root(settings) / "objects").iterdir():
        if path.stem not in wanted:
            path.unlink()
