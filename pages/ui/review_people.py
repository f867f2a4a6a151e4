"""Several reviewers: the rules they read by, how far they agree, and the triples on which they differ."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from core.domain.people import MOST_READERS, ReviewRules
from core.domain.review import TripleRecord
from core.domain.triple import Verdict
from core.review.agreement import Agreement, AgreementReport
from core.review.people import LEASE_MINUTES
from core.workbench import Workbench
from pages.ui.problems import problems_shown
from pages.ui.session import open_workbench, reviewer
from pages.ui.triple_card import VERDICT_BADGES, VERDICT_SIGNS
from pages.ui.widgets import plain, plain_badge, show_empty_state, visible

MOST_CASES = 200
FEWEST = 10  # triples below which resampling them says nothing
CELL_CHARACTERS = 120


def show_people(workbench: Workbench) -> None:
    """The second face of the page: not one card, but the people."""
    left, right = st.columns([1, 2.2], gap="medium")
    with left:
        _show_rules(workbench)
    with right:
        report = _report(str(workbench.settings.workspace), workbench.review.team.log_length())
        _show_agreement(report)
    _show_cases(workbench, report)


@st.cache_data(show_spinner="Counting agreement …", max_entries=4)
def _report(workspace: str, log_length: int) -> AgreementReport:
    # Both arguments are there to be hashed: agreement changes with the log alone.
    return open_workbench().review.team.agreement()


def _show_rules(workbench: Workbench) -> None:
    team = workbench.review.team
    rules = team.rules()
    name = st.text_input("You review as", reviewer(), key="people-name", max_chars=60)
    if name and name.strip() and name.strip() != reviewer():
        st.session_state["reviewer"] = name.strip()
        st.rerun()
    with st.form("review-rules", border=True):
        share = st.number_input(
            "Read by several (% of all triples)", 0.0, 100.0, rules.overlap_share * 100, step=5.0, format="%.4g", key="rule-share"
        )
        readers = st.number_input("Readers of each of those", 2, MOST_READERS, rules.readers, key="rule-readers")
        minutes = st.number_input(
            "A card is kept for (minutes)",
            *map(float, LEASE_MINUTES),
            rules.lease_minutes,
            format="%.4g",
            key="rule-minutes",
            help="After a crash or a lost connection; a closed window gives its card back at once.",
        )
        st.caption(
            "Which triples is drawn from their ids, so everybody overlaps on the same ones. Nobody sees another's verdict on them "
            "until all have given theirs; where they differ, the triple is disputed until somebody settles it."
        )
        if st.form_submit_button("Save", key="save-rules", icon=":material/save:"):
            with problems_shown():
                team.set_rules(ReviewRules(share / 100, int(readers), float(minutes)))
                st.toast("Saved: it holds for what is decided from now on.", icon=":material/check:")


def _show_agreement(report: AgreementReport) -> None:
    st.markdown("##### Agreement on what several read")
    if not report.alpha.units:
        show_empty_state(
            "No triple was read by two people yet. Set a share at the left, then let each reviewer go through the queue by name."
        )
        return
    n = report.alpha.units
    st.markdown(
        f"Krippendorff's alpha **{coefficient_words(report.alpha)}** :gray[· nominal, {n:,} {'triple' if n == 1 else 'triples'}, "
        f"{len(report.reviewers)} reviewers, 95 % interval by bootstrap over triples]"
    )
    rows = [
        {
            "reviewers": f"{visible(pair.first)} and {visible(pair.second)}",
            "n read by both": pair.kappa.units,
            "same verdict": f"{pair.same:,} ({pair.same / pair.kappa.units:.0%})",
            "Cohen's kappa (95 % interval)": coefficient_words(pair.kappa),
        }
        for pair in report.pairs
    ]
    st.dataframe(pd.DataFrame(rows), hide_index=True, key="agreement-pairs")
    st.caption("1 is full agreement, 0 is what chance gives. An interval that holds 0 says: too few triples, or no agreement.")


def coefficient_words(found: Agreement) -> str:
    """A coefficient and its interval, or why there is none."""
    if found.value is None or found.low is None or found.high is None:
        return "not defined: all verdicts are the same"
    if found.units < FEWEST:
        return f"{found.value:.2f} (n = {found.units}: too few for an interval)"
    return f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _show_cases(workbench: Workbench, report: AgreementReport) -> None:
    if not report.differing:
        return
    st.markdown(f"##### Where they differ :gray[· {len(report.differing):,} of {report.alpha.units:,} triples]")
    records = workbench.review.cards(report.differing[:MOST_CASES])
    chosen = st.dataframe(_cases(records), hide_index=True, key="cases", on_select="rerun", selection_mode="single-row")
    if len(report.differing) > MOST_CASES:
        st.caption(f"The first {MOST_CASES} of {len(report.differing):,}; settle disputes in the Disputes view.")
    if rows := chosen.selection.rows:  # type: ignore[attr-defined]
        record = records[rows[0]]
        show_readings(record)
        st.button("Open this card", key="open-case", icon=":material/open_in_full:", on_click=_open, args=(record.id,))


def _cases(records: Sequence[TripleRecord]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {
                "no.": record.number,
                "now": VERDICT_SIGNS[record.standing.verdict],
                "query": visible(record.texts.query)[:CELL_CHARACTERS],
                "verdicts": "; ".join(
                    f"{visible(r.reviewer)}: {r.verdict.value}" + (f" ({visible(r.reason)})" if r.reason else "")
                    for r in record.standing.readings
                ),
                "settled by": visible(record.standing.reviewer) if record.standing.verdict is not Verdict.DISPUTED else "",
            }
            for record in records
        ]
    )


def _open(card: str) -> None:
    st.session_state["view"] = "Queue"
    st.query_params["card"] = card


def show_readings(record: TripleRecord) -> None:
    """What each independent reader said, beside each other; on screen only once all have."""
    with st.container(border=True, key="readings"):
        disputed = record.standing.verdict is Verdict.DISPUTED
        st.markdown("**:material/balance: The readers differ.** Accept or reject: your verdict settles it." if disputed else
                    "**:material/balance: Read by several, without knowing of each other**")  # fmt: skip
        for column, reading in zip(st.columns(len(record.standing.readings)), record.standing.readings, strict=True):
            icon, colour = VERDICT_BADGES[reading.verdict]
            with column:
                st.badge(plain_badge(f"{reading.reviewer}: {reading.verdict.value}"), icon=icon, color=colour)  # type: ignore[arg-type]
                st.caption(plain(reading.reason or "no reason asked for") + f" · {reading.decided_at[:16].replace('T', ' ')} UTC")
