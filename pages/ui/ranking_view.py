"""Rankings side by side: hits as cards with rank moves, judged documents, histogram, times."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import altair as alt
import pandas as pd
import streamlit as st

from core.domain.ranking import Hit, Ranking, ndcg_of_ranks, reciprocal_rank
from pages.ui.widgets import plain

SNIPPET_WIDTH = 240  # columns of a fixed-width screen: a Chinese character takes two
CUT = 10


@dataclass(frozen=True, slots=True)
class Judged:
    """Documents that answer the query, and those trained as hard negatives, by id."""

    positives: tuple[str, ...] = ()
    negatives: tuple[str, ...] = ()
    words: str = ""  # where the judgement comes from

    @property
    def ids(self) -> tuple[str, ...]:
        """All judged documents."""
        return (*self.positives, *self.negatives)


def move_badge(rank: int, rank_in_first: int | None) -> str:
    """Where a document of rank `rank` stands in the first column: arrow, words, colour."""
    if rank_in_first is None:
        return ":gray-badge[not in the first]"
    if rank_in_first == rank:
        return ":gray-badge[＝ same rank]"
    steps = abs(rank_in_first - rank)
    if rank_in_first > rank:
        return f":green-badge[▲ up {steps:,}, was {rank_in_first:,}]"
    return f":orange-badge[▼ down {steps:,}, was {rank_in_first:,}]"


def mark_badge(document_id: str, judged: Judged) -> str:
    """`answer` or `hard negative` for a judged document, else nothing."""
    if document_id in judged.positives:
        return ":green-badge[:material/check_circle: answer]"
    return ":red-badge[:material/cancel: hard negative]" if document_id in judged.negatives else ""


def snippet(text: str, *, width: int = SNIPPET_WIDTH) -> str:
    """Beginning of a text on one line."""
    line, used = " ".join(text.split()), 0
    for at, character in enumerate(line):
        used += 2 if "\u2e80" <= character <= "\uffe6" else 1
        if used > width:
            return line[:at].rstrip() + " …"
    return line


def show_times(ranking: Ranking, *, note: str = "") -> None:
    """Encode and search time, corpus size, and a note."""
    encode = f"encode {ranking.encode_milliseconds:.0f} ms · " if ranking.encode_milliseconds else ""
    st.caption(f"{encode}search {ranking.search_milliseconds:.1f} ms · {ranking.corpus_size:,} documents{note}")


def show_judged(ranking: Ranking, judged: Judged) -> None:
    """Scores of this query and the rank of each judged document, wherever it stands."""
    ranks = [ranking.ranks_of[i] for i in judged.positives if i in ranking.ranks_of]
    if not ranks:
        return
    scores = f"nDCG@{CUT} **{ndcg_of_ranks(ranks, cut=CUT):.2f}** · MRR@{CUT} **{reciprocal_rank(ranks, cut=CUT):.2f}** (this query)"
    lines = [f":material/target: {scores}"]
    lines += [_judged_line("check_circle", "Answer", i, ranking) for i in judged.positives if i in ranking.ranks_of]
    lines += [_judged_line("cancel", "Hard negative", i, ranking) for i in judged.negatives if i in ranking.ranks_of]
    st.markdown("  \n".join(lines))


def _judged_line(icon: str, name: str, document_id: str, ranking: Ranking) -> str:
    rank, similarity = ranking.ranks_of[document_id], ranking.similarities_of[document_id]
    outside = "" if rank <= len(ranking.hits) else ", not shown"
    return f":material/{icon}: {name}: rank **{rank:,}** of {ranking.corpus_size:,} ({similarity:.3f}{outside})"


def show_histogram(ranking: Ranking, *, key: str) -> None:
    """Similarities of all documents; the bars at and above the last hit are the ones shown."""
    if ranking.histogram is None or not ranking.hits:
        return
    cut = ranking.hits[-1].similarity
    edges = ranking.histogram.edges
    shown = f"top {len(ranking.hits)}"
    frame = pd.DataFrame(
        {
            "from": edges[:-1],
            "to": edges[1:],
            "documents": ranking.histogram.counts,
            "part": [shown if edge > cut else "not shown" for edge in edges[1:]],
        }
    )
    bars = (
        alt.Chart(frame)
        .mark_rect()
        .encode(
            x=alt.X("from:Q", title="similarity", scale=alt.Scale(zero=False, nice=False), axis=alt.Axis(format=".2f", tickCount=5)),
            x2="to:Q",
            y=alt.Y("documents:Q", title="documents", scale=alt.Scale(type="sqrt"), axis=alt.Axis(tickCount=4)),
            y2=alt.datum(0),
            color=alt.Color("part:N", scale=alt.Scale(domain=[shown, "not shown"], range=["#e8590c", "#868e96"]), legend=None),
            tooltip=[alt.Tooltip("from:Q", format=".3f"), alt.Tooltip("to:Q", format=".3f"), "documents:Q", "part:N"],
        )
    )
    rule = alt.Chart(pd.DataFrame({"cut": [cut]})).mark_rule(strokeDash=[4, 3], color="#e8590c").encode(x="cut:Q")
    st.altair_chart((bars + rule).properties(height=200), key=key, width="stretch")
    st.caption(f"Dashed: the cut after {len(ranking.hits)} hits, at {cut:.3f}. Counts on a square-root scale.")


def show_hits(
    ranking: Ranking, judged: Judged, *, ranks_in_first: Mapping[str, int] | None, key: str, on_open: Callable[[Hit], None]
) -> None:
    """One card a hit; `ranks_in_first` is None in the first column, which the others are compared with."""
    lexical = ranking.system == "bm25"  # a score of 0 means that no word is shared: such a document was not found
    for hit in (h for h in ranking.hits if h.similarity > 0 or not lexical):
        with st.container(border=True, gap="xsmall", key=f"{key}-hit-{hit.rank}"):
            words, button = st.columns([9, 1])
            badges = [mark_badge(hit.document.id, judged)]
            if ranks_in_first is not None:
                badges.append(move_badge(hit.rank, ranks_in_first.get(hit.document.id)))
            head = f"**{hit.rank}** · {hit.similarity:.3f} " + " ".join(badge for badge in badges if badge)
            title = f"**{plain(hit.document.title)}**  \n" if hit.document.title else ""
            words.markdown(f"{head}  \n{title}:small[{plain(snippet(hit.document.text))}]")
            if button.button("", icon=":material/open_in_full:", key=f"{key}-open-{hit.rank}", type="tertiary", help="Open this document"):
                on_open(hit)
    if lexical and any(hit.similarity <= 0 for hit in ranking.hits):
        st.caption("All other documents share no word with the query.")
