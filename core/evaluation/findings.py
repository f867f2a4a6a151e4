"""From per-query scores to what a person wants to know: means, comparisons, groups, and the queries that moved most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from core.evaluation.collection import JudgedCollection, JudgedQuery
from core.evaluation.metrics import METRICS
from core.evaluation.scoring import SystemScores
from core.evaluation.significance import compare, corrected, score_of

SHOWN = 10  # most improved and most hurt queries of a comparison
ORDER = ("run:", "", "baseline", "bm25", "raw")  # a system is compared against those behind it

Found = Mapping[str, SystemScores]


def pairs_to_compare(systems: Sequence[str]) -> list[tuple[str, str]]:
    """Every pair once: against raw first, and tuned runs on the left, so that a difference above 0 speaks for what training did."""

    def place(name: str) -> int:
        return 0 if name.startswith("run:") else ORDER.index(name) if name in ORDER else 1

    ranked = sorted(systems, key=place)
    return [(system, ranked[i]) for i in reversed(range(len(ranked))) for system in ranked[:i]]


def summarise(found: Found, *, samples: int, seed: int) -> dict[str, dict[str, Any]]:
    """System -> metric -> mean, interval and number of queries; with the geometry of its vectors."""
    return {
        name: {metric: asdict(score_of(scored.scores[metric], samples=samples, seed=seed)) for metric in METRICS}
        | {"geometry": asdict(scored.geometry) if scored.geometry else None}
        for name, scored in found.items()
    }


def compare_all(found: Found, *, samples: int, seed: int) -> list[dict[str, Any]]:
    """All pairs on all metrics; p is corrected over the pairs of each metric."""
    rows: list[dict[str, Any]] = []
    for metric in METRICS:
        tested = [
            compare(a, b, metric, found[a].scores[metric], found[b].scores[metric], samples=samples, seed=seed)
            for a, b in pairs_to_compare(list(found))
        ]
        rows += [asdict(c) for c in corrected(tested)]
    return rows


def by_attribute(collection: JudgedCollection, found: Found, attribute: str, *, samples: int, seed: int) -> list[dict[str, Any]]:
    """One row for each value of a query's `attribute` (group, language, task), most queries first; every number has its n."""
    rows_of: dict[str, list[int]] = {}
    for i, query in enumerate(collection.queries):
        rows_of.setdefault(getattr(query, attribute), []).append(i)
    return [
        {
            "name": value,
            "queries": len(rows),
            "systems": {
                name: {m: asdict(score_of(scored.scores[m][rows], samples=samples, seed=seed)) for m in METRICS}
                for name, scored in found.items()
            },
        }
        for value, rows in sorted(rows_of.items(), key=lambda item: (-len(item[1]), item[0]))
    ]


def moved_queries(collection: JudgedCollection, found: Found, system: str, against: str) -> dict[str, Any]:
    """The queries whose nDCG@10 rose and fell most from `against` to `system`, with what each put first."""
    change = found[system].scores["ndcg_at_10"] - found[against].scores["ndcg_at_10"]
    rank_change = np.array(found[system].ranks) - np.array(found[against].ranks)  # below 0: nearer to the top
    order = sorted(range(len(change)), key=lambda i: (-change[i], rank_change[i], collection.queries[i].id))
    texts = {d.id: d.content for d in collection.documents}

    def told(i: int) -> dict[str, Any]:
        before, after = found[against], found[system]
        return _query_facts(collection.queries[i], texts) | {
            "change": float(change[i]),
            "rank_before": before.ranks[i],
            "rank_after": after.ranks[i],
            "first_before": texts[before.best[i]],
            "first_after": texts[after.best[i]],
        }

    return {
        "system": system,
        "against": against,
        "improved": [told(i) for i in order[:SHOWN] if change[i] > 0],
        "hurt": [told(i) for i in reversed(order[-SHOWN:]) if change[i] < 0],
    }


def query_table(collection: JudgedCollection, found: Found) -> list[dict[str, Any]]:
    """Every query with every system's scores and rank: what all other numbers can be computed from again."""
    return [
        {"id": query.id, "triple_id": query.triple_id, "group": query.group, "language": query.language, "task": query.task}
        | {
            "systems": {
                name: {"rank": scored.ranks[i]} | {m: round(float(scored.scores[m][i]), 6) for m in METRICS}
                for name, scored in found.items()
            }
        }
        for i, query in enumerate(collection.queries)
    ]


def _query_facts(query: JudgedQuery, texts: Mapping[str, str]) -> dict[str, Any]:
    return {
        "query": query.text,
        "task": query.task,
        "group": query.group,
        "language": query.language,
        "positive": texts[query.relevant[0]],
        "triple_id": query.triple_id,
    }
