"""Which archived release is meant: by its id, or by an instant.

Belongs here: reading what a user typed. Does not: the archive (archive.py).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from pipelines.errors import UsageError
from pipelines.history.archive import Archived


def find(releases: Sequence[Archived], wanted: str) -> Archived:
    """The release that ``wanted`` names: an id (or its beginning), or the one that was current at an instant.

    An instant is ISO 8601, UTC where it has no zone; a date alone means the end of that UTC day. Raises UsageError.
    """
    if not releases:
        raise UsageError("nothing has been published yet", remedy="run `apportion nightly` first")
    named = [r for r in releases if wanted and r.release_id.startswith(wanted)]
    if named and len({r.release_id for r in named}) == 1:
        return named[-1]
    instant = _instant(wanted)
    if instant is None:
        raise UsageError(
            f"{wanted!r} is neither a release nor a time",
            remedy="`apportion releases` lists the releases; write a time as 2026-10-05T07:00",
        )
    before = [r for r in releases if r.published_at <= instant]
    if not before:
        first = releases[0]
        raise UsageError(
            f"nothing had been published at {wanted}",
            remedy=f"the earliest release in the archive is {first.release_id} of {first.published_at:%Y-%m-%dT%H:%M:%S} UTC",
        )
    return before[-1]


def pair(releases: Sequence[Archived], old: str | None, new: str | None) -> tuple[Archived, Archived]:
    """The two releases of a comparison; by default the last one and the one before it. Raises UsageError."""
    after = find(releases, new) if new else find(releases, releases[-1].release_id if releases else "")
    if old:
        return find(releases, old), after
    before = [release for release in releases if release.sequence < after.sequence]
    if not before:
        raise UsageError(f"nothing was published before release {after.release_id}", remedy="`apportion releases` lists the releases")
    return before[-1], after


def _instant(text: str) -> dt.datetime | None:
    try:
        instant = dt.datetime.fromisoformat(text)
    except ValueError:
        return None
    if len(text) <= 10:
        instant = instant + dt.timedelta(days=1) - dt.timedelta(microseconds=1)
    return instant if instant.tzinfo else instant.replace(tzinfo=dt.UTC)
