"""From any published dollar to the charges that it comes from, and back.

Belongs here: which steps answer a question. Does not: the steps (explaining/). No figure is computed anew: ledger rows are read from the
release, and a bill row's share of them is the release's own split, repeated and checked against it.
"""

from __future__ import annotations

from contextlib import closing
from typing import Any

import duckdb

from pipelines.errors import ApportionError, UsageError
from pipelines.explaining import charges, ledger, words
from pipelines.explaining.question import Question
from pipelines.explaining.rebuild import rebuilt, released_deliveries
from pipelines.policy import Policy, load_policy
from pipelines.report import open_release
from pipelines.settings import Settings

__all__ = ["Question", "explain", "require_equal"]


def explain(settings: Settings, question: Question, *, limit: int | None = None) -> dict[str, Any]:
    """The answer to ``question``: its dollars, what placed them, ledger rows, and the release's figures for the same.

    limit: the most ledger rows to list, dearest first (their sums are always over all). With ``question.charges`` each row has the bill rows
    that it comes from; with ``question.charge`` there are the bill row's charges, and the ledger rows carry its shares.
    Raises UsageError where nothing published is meant, ApportionError where charges cannot be rebuilt as they were.
    """
    with closing(open_release(settings)) as release:
        publication = ledger.publication(release)
        policy = _policy_of(settings, publication)
        if question.charge is not None:
            answer = _explain_charge(settings, question, release, publication)
        else:
            answer = _explain_rows(settings, question, release, publication, limit)
        aliases: dict[str, list[str]] = {}
        for key, alias in release.execute(
            "select canonical_key, alias from dim_tag_policy where rule_kind = 'alias' order by canonical_key, alias_rank, alias"
        ).fetchall():
            aliases.setdefault(key, []).append(alias)
        for row in answer["rows"]:
            row["tag"] = words.tag_words(row, aliases)
        for entry in answer["placements"]:
            entry["placed_by"] = words.placement(entry, policy)
        for pool in answer["pools"]:
            pool["rule"] = words.rule_words(pool["rule_id"], policy).strip(" ()")
    return {"release_id": publication.release_id, **answer}


def _explain_rows(
    settings: Settings, question: Question, release: duckdb.DuckDBPyConnection, publication: ledger.Publication, limit: int | None
) -> dict[str, Any]:
    keys = ledger.workload_keys(release, question.workload, str(settings.published)) if question.workload is not None else []
    condition, values = question.where(keys)
    if ledger.select(release, condition, values) == 0:
        raise UsageError(f"no published dollar for: {question.words()}", where=str(settings.published), remedy="ask for less at once")
    rows = ledger.rows(release, limit)
    if question.charges:
        days = {day for (day,) in release.execute("select distinct usage_date from whole").fetchall()}
        with rebuilt(settings, publication, days) as scratch:
            charges.prepare(scratch)
            charges.trace(scratch, release)
            shares = charges.shares_of_lines(scratch.connection, [row["line_id"] for row in rows])
        for row in rows:
            row["charges"] = shares.get(row["line_id"], [])
    return {
        "question": question.words(),
        "workload_keys": keys,
        **ledger.sums(release),
        "row_count": ledger.one(release, "select count(*) from selected")[0],
        "placements": ledger.placements(release),
        "pools": ledger.pools(release),
        "rows": rows,
        "figures": ledger.figures(release, question, keys),
    }


def _explain_charge(
    settings: Settings, question: Question, release: duckdb.DuckDBPyConnection, publication: ledger.Publication
) -> dict[str, Any]:
    asked = question.charge
    assert asked is not None
    delivery, file = charges.landed_file(released_deliveries(settings, publication), asked)
    published = {day for (day,) in release.execute("select usage_date from dim_date").fetchall()}
    if question.day is not None:
        days = {question.day} & published
    elif delivery.covers is not None:
        days = {day for day in published if delivery.covers[0] <= day <= delivery.covers[1]}
    else:
        raise UsageError("this row belongs to no day by itself", where=str(file.path), remedy="name the day with --day")
    named = f"row {asked.row} of {delivery.delivery_id}/{file.path.name}"
    with rebuilt(settings, publication, days) as scratch:
        charges.prepare(scratch)
        found = charges.charges_at(scratch.connection, file, asked.row)
        if not found:
            raise UsageError(
                f"{named} is no charge of a published day", where=str(file.path), remedy=f"the file has {file.rows} row(s), counted from 0"
            )
        buckets = sorted({(c["usage_date"], c["bucket_key"]) for c in found})
        marks = ", ".join("(?, ?)" for _ in buckets)
        values = [value for bucket in buckets for value in bucket]
        ledger.select(
            release,
            f"(usage_date, bucket_key) in ({marks}) or (bucket_key = distribution_key and distribution_key in"  # noqa: S608
            f" (select distribution_key from fct_cost_allocation where stage = 'distributed' and (usage_date, bucket_key) in ({marks})))",
            [*values, *values],
        )
        scratch.narrow({day for day, _ in buckets})
        charges.trace(scratch, release)
        found = charges.ranks_at(scratch.connection, file, asked.row)
        for charge in found:
            shares = charges.shares_of_charge(scratch.connection, charge["usage_date"], charge["bucket_key"], charge["charge_rank"])
            charge["shares"] = [{"line_id": line, **share} for line, entries in shares.items() for share in entries]
    rows = [row for row in ledger.rows(release, None) if any(s["line_id"] == row["line_id"] for c in found for s in c["shares"])]
    of_stage = {row["line_id"]: row["stage"] for row in rows}
    figures = []
    for charge in found:
        for stage, amount, name in (
            ("allocated", charge["effective_cost"], "the bill row itself"),
            ("distributed", 0, "zero, handed on by rules"),
        ):
            told = [s["cost_usd"] for s in charge["shares"] if of_stage[s["line_id"]] == stage]
            if told:
                figures.append(ledger.compared(f"{name} ({charge['line_item_type']})", sum(told), amount))
    return {
        "question": f"{named} of {asked.source}",
        "workload_keys": [],
        "cost_usd": sum(c["effective_cost"] for c in found),
        "charges": found,
        "row_count": len(rows),
        "placements": ledger.placements(release),
        "pools": ledger.pools(release),
        "rows": rows,
        "figures": [*figures, *ledger.whole_figures(release)],
    }


def require_equal(answer: dict[str, Any]) -> None:
    """Raises ApportionError where the explanation does not sum to the release's own figures."""
    wrong = [f for f in answer["figures"] if not f["is_equal"]]
    if wrong:
        detail = "; ".join(f"{f['figure']}: explained {f['explained_usd']}, published {f['published_usd']}" for f in wrong)
        raise ApportionError(
            f"the explanation does not sum to the release: {detail}",
            where=f"release {answer['release_id']}",
            remedy="do not use this release's figures; publish the days again",
        )


def _policy_of(settings: Settings, publication: ledger.Publication) -> Policy | None:
    """The policy that the release was computed under, if the policy file still says the same."""
    try:
        policy = load_policy(settings.policy_path)
    except ApportionError:
        return None
    return policy if policy.digest == publication.policy_digest else None
