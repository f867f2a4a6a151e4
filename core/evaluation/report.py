"""An evaluation as one HTML file: inline style, no script, no request to anywhere; every text of the data is escaped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

from core.domain.report import GEOMETRY, Comparison, in_words
from core.domain.report import METRIC_NAMES as NAMES

STYLE = """
:root { color-scheme: light dark; --line: #8885; --soft: #8881; --good: #1a7f4b; --bad: #b3401f; --mark: #3b6fd4 }
@media (prefers-color-scheme: dark) { :root { --good: #5cc98f; --bad: #f0906c; --mark: #8fb4ff } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100%; margin: .5rem 0 1.5rem }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .6rem; text-align: left; vertical-align: top }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
.small { color: color-mix(in srgb, currentColor 65%, transparent); font-size: .87em }
.good { color: var(--good) } .bad { color: var(--bad) } pre { white-space: pre-wrap; background: var(--soft); padding: .8rem }
.text { white-space: pre-wrap; overflow-wrap: anywhere } svg { width: 100%; height: auto }
details { border-bottom: 1px solid var(--line); padding: .4rem 0 }
"""


def as_html(report: dict[str, Any]) -> str:
    """The whole report as a page."""
    title = f"Evaluation on {report['test']['name']}"
    parts = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{report['queries']} held-out queries of {report['tasks']} tasks, each ranked against all "
        f"{report['documents']} held-out documents. "
        f"<span class=small>{escape(report['created_at'])} · job {escape(report['job'])}</span></p>",
        "<h2>Scores</h2>",
        _scores(report),
        _intervals(report),
        "<h2>Comparisons</h2>",
        _comparisons(report),
        "<h2>By group</h2>",
        _breakdown(report, "by_group", "Group"),
        "<h2>By language</h2>",
        _breakdown(report, "by_language", "Language"),
        "<h2>Queries that moved most</h2>",
        *(_moved(report, moved) for moved in report["moved"]),
        "<h2>Geometry of the vectors</h2>",
        _geometry(report),
        "<h2>Overlap with training data</h2>",
        _overlap(report),
        "<h2>How this was made</h2>",
        _provenance(report),
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>{"".join(parts)}</body></html>'
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, words: int = 1) -> str:
    """A table of cells that are HTML already; the first `words` columns are text, the others numbers."""
    kinds = ["" if i < words else ' class="n"' for i in range(len(head))]
    top = "".join(f"<th{k}>{escape(cell)}</th>" for cell, k in zip(head, kinds, strict=True))
    body = "".join("<tr>" + "".join(f"<td{k}>{cell}</td>" for cell, k in zip(row, kinds, strict=True)) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _score(score: dict[str, Any]) -> str:
    return f"{score['mean']:.3f} <span class=small>[{score['low']:.3f}, {score['high']:.3f}]</span>"


def _label(report: dict[str, Any], system: str) -> str:
    return escape(report["systems"][system]["label"])


def _scores(report: dict[str, Any]) -> str:
    rows = [
        [_label(report, s), *(_score(facts[m]) for m in NAMES), str(facts["ndcg_at_10"]["queries"])]
        for s, facts in report["systems"].items()
    ]
    note = "<p class=small>Mean over queries and its 95 % bootstrap interval.</p>"
    return _table(["System", *NAMES.values(), "queries"], rows) + note


def _intervals(report: dict[str, Any]) -> str:
    """nDCG@10 with its interval, one line a system, on an axis from 0 to 1."""
    height = 30 * len(report["systems"]) + 24
    lines = []
    for i, facts in enumerate(report["systems"].values()):
        score, y = facts["ndcg_at_10"], 30 * i + 18
        low, mean, high = (220 + 560 * score[k] for k in ("low", "mean", "high"))
        lines.append(
            f'<text x="210" y="{y + 5}" text-anchor="end" font-size="13" fill="currentColor">{escape(facts["label"][:34])}</text>'
            f'<line x1="220" x2="780" y1="{y}" y2="{y}" stroke="var(--line)"/>'
            f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" stroke="var(--mark)" stroke-width="4"/>'
            f'<circle cx="{mean:.1f}" cy="{y}" r="5" fill="var(--mark)"/>'
        )
    ticks = "".join(
        f'<text x="{220 + 560 * t}" y="{height - 4}" text-anchor="middle" font-size="11" fill="currentColor">{t:g}</text>'
        for t in (0, 0.25, 0.5, 0.75, 1)
    )
    return f'<svg viewBox="0 0 800 {height}" role="img" aria-label="nDCG@10 of each system with its interval">{"".join(lines)}{ticks}</svg>'


def _comparisons(report: dict[str, Any]) -> str:
    if not report["comparisons"]:
        return "<p>One system alone has nothing to be compared with.</p>"
    found = [c for c in report["comparisons"] if c["metric"] == "ndcg_at_10"]
    words = "".join(
        f"<li>{escape(in_words(Comparison(**c), report['systems'][c['system']]['label'], report['systems'][c['against']]['label']))}</li>"
        for c in found
    )
    rows = [
        [
            f"{_label(report, c['system'])} against {_label(report, c['against'])}",
            NAMES[c["metric"]],
            f'<span class="{"good" if c["difference"] > 0 else "bad"}">{c["difference"]:+.3f}</span>',
            f"[{c['low']:+.3f}, {c['high']:+.3f}]",
            f"{c['p_value']:.4f}",
            f"{c['p_adjusted']:.4f}",
            f"{c['wins']} / {c['ties']} / {c['losses']}",
        ]
        for c in report["comparisons"]
    ]
    head = ["Pair", "Metric", "Difference", "95 % interval", "p", "p (Holm)", "better / same / worse"]
    note = "<p class=small>Two-sided paired permutation test over queries; Holm corrects over the pairs of a metric.</p>"
    return f"<ul>{words}</ul>{_table(head, rows, words=2)}{note}"


def _breakdown(report: dict[str, Any], key: str, name: str) -> str:
    systems = list(report["systems"])
    rows = [[escape(row["name"]), str(row["queries"]), *(_score(row["systems"][s]["ndcg_at_10"]) for s in systems)] for row in report[key]]
    return _table([name, "queries", *(report["systems"][s]["label"] for s in systems)], rows)


def _moved(report: dict[str, Any], moved: dict[str, Any]) -> str:
    pair = f"{_label(report, moved['against'])} → {_label(report, moved['system'])}"
    blocks = []
    for word, kind in (("improved", "good"), ("hurt", "bad")):
        items = "".join(
            f'<details><summary><span class="{kind}">{q["change"]:+.3f}</span> rank {q["rank_before"]} → {q["rank_after"]}: '
            f"{escape(q['query'][:160])}</summary><p class=small>{escape(q['group'])} · {escape(q['language'])} · {escape(q['task'])}</p>"
            f"<p><b>Positive</b></p><p class=text>{escape(q['positive'])}</p>"
            f"<p><b>First before</b></p><p class=text>{escape(q['first_before'])}</p>"
            f"<p><b>First after</b></p><p class=text>{escape(q['first_after'])}</p></details>"
            for q in moved[word]
        )
        blocks.append(f"<h4>Most {word}</h4>{items or '<p class=small>None.</p>'}")
    return f"<h3>{pair}</h3>{''.join(blocks)}"


def _geometry(report: dict[str, Any]) -> str:
    rows = [
        [_label(report, s), *(f"{facts['geometry'][k]:.3f}" for k, _, _ in GEOMETRY)]
        for s, facts in report["systems"].items()
        if facts["geometry"]
    ]
    notes = "".join(f"<li>{name}: {meaning}.</li>" for _, name, meaning in GEOMETRY)
    return _table(["System", *(name for _, name, _ in GEOMETRY)], rows) + f"<ul class=small>{notes}</ul>"


def _overlap(report: dict[str, Any]) -> str:
    rows = [[escape(o["with"]), *(str(len(o[k])) for k in ("queries", "documents", "tasks"))] for o in report["overlap"]]
    return _table(["Compared with", "queries", "documents", "tasks"], rows) + "<p class=small>Equal strings, ignoring case and spacing.</p>"


def _provenance(report: dict[str, Any]) -> str:
    facts = {k: report[k] for k in ("test", "plan", "plan_hash", "packages")}
    facts["encoders"] = {s: {"fingerprint": f["fingerprint"], "encoder": f["encoder"]} for s, f in report["systems"].items()}
    return f"<pre>{escape(json.dumps(facts, ensure_ascii=False, indent=1))}</pre>"
