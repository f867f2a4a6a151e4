"""One triple as a reviewer sees it: three texts side by side with what is asked, found, copied and changed.

Every piece of data goes through `html.escape`; nothing of it is ever read as markup.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

import streamlit as st

from core.domain.groups import GROUPS
from core.domain.languages import count_words
from core.domain.lengths import length_asked
from core.domain.review import VERDICTS, Action, Decision, Standing, TripleRecord, changes_of, hidden_from
from core.domain.spans import Change, Span, changes, copied_spans
from core.domain.triple import Flag, Triple, Verdict
from core.review.ordering import Suggestion
from pages.ui.session import reviewer
from pages.ui.widgets import plain, plain_badge, visible

FIELDS = ("query", "positive", "negative")
TITLES = {"query": "Query", "positive": "Positive", "negative": "Hard negative"}
ICONS = {"query": "search", "positive": "check_circle", "negative": "do_not_disturb_on"}
VERDICT_BADGES = {
    Verdict.PENDING: (":material/hourglass_empty:", "gray"),
    Verdict.ACCEPTED: (":material/check:", "green"),
    Verdict.REJECTED: (":material/close:", "red"),
    Verdict.DISPUTED: (":material/balance:", "orange"),
}
VERDICT_SIGNS = {
    Verdict.PENDING: "… waiting",
    Verdict.ACCEPTED: "✓ accepted",
    Verdict.REJECTED: "✗ rejected",
    Verdict.DISPUTED: "≠ disputed",
}
BODY = "white-space:pre-wrap;overflow-wrap:anywhere;unicode-bidi:isolate;line-height:1.55;font-size:0.95rem"
COPIED = "background:rgba(255,176,32,.28);border-bottom:2px solid rgba(230,140,0,.95);color:inherit;border-radius:2px"
REMOVED = "background:rgba(220,60,60,.16);text-decoration:line-through;color:inherit"
ADDED = "background:rgba(40,160,90,.20);text-decoration:underline;color:inherit"
SHORT_QUERY = 300  # characters
STRONG = 0.6  # weight from which a flag is shown as an error


def text_html(text: str, marked: Sequence[Span] = ()) -> str:
    """A text as HTML that shows exactly its characters, with spans marked as copied."""
    pieces, at = [], 0
    for start, end in marked:
        pieces.append(_escaped(text[at:start]))
        pieces.append(f'<mark style="{COPIED}" title="also in the query">{_escaped(text[start:end])}</mark>')
        at = end
    pieces.append(_escaped(text[at:]))
    return f'<div dir="auto" style="{BODY}">{"".join(pieces)}</div>'


def changes_html(before: str, after: str) -> str:
    """What an edit changed: removed pieces struck through, added ones underlined."""
    tags = {Change.SAME: ("span", ""), Change.REMOVED: ("del", REMOVED), Change.ADDED: ("ins", ADDED)}
    pieces = []
    for kind, piece in changes(before, after):
        tag, style = tags[kind]
        pieces.append(f'<{tag} style="{style}">{_escaped(piece)}</{tag}>')
    return f'<div dir="auto" style="{BODY}">{"".join(pieces)}</div>'


def _escaped(text: str) -> str:
    return html.escape(visible(text))


def show_card(
    record: TripleRecord, *, scores: dict[str, float] | None = None, show_changes: bool = False, suggestion: Suggestion | None = None
) -> None:
    """Heading, reasons for suspicion, what the reviewer's own verdicts suggest, and the three columns."""
    _show_heading(record)
    _show_reasons([flag for flag in record.flags if not flag.field])
    if suggestion:
        _show_suggestion(suggestion)
    names = [name for name in FIELDS if getattr(record.texts, name) is not None]
    narrow_query = len(names) == len(FIELDS) and len(record.texts.query) < SHORT_QUERY
    weights = [1.0, 1.35, 1.35] if narrow_query else [1.0] * len(names)
    for column, name in zip(st.columns(weights, gap="small"), names, strict=True):
        with column.container(border=True, key=f"card-{name}", height="stretch"):
            _show_field(record, name, (scores or {}).get(name), show_changes=show_changes)


def show_from_the_top(card: str) -> None:
    """Scroll back to the top when another card is laid down. `card` is a hash, the script is ours: nothing of the data runs."""
    script = "document.querySelector('[data-testid=stMain]')?.scrollTo(0, 0)"
    st.html(f"<script>/* {''.join(c for c in card if c.isalnum())} */ {script}</script>", unsafe_allow_javascript=True)


def _show_heading(record: TripleRecord) -> None:
    triple = record.triple
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.badge(triple.group.value, icon=":material/category:", color="blue")
        st.badge(plain_badge(_languages(triple)), icon=":material/translate:", color="violet")
        if triple.topic:
            st.badge(plain_badge(triple.topic), icon=":material/topic:", color="gray")
        icon, colour = VERDICT_BADGES[record.standing.verdict]
        st.badge(_verdict_words(record), icon=icon, color=colour)  # type: ignore[arg-type]
        if record.standing.flagged:
            st.badge("flagged", icon=":material/flag:", color="orange")
        if record.edited:
            words = ("swapped", "swap_horiz") if was_swapped(record) else ("edited", "edit")
            st.badge(words[0], icon=f":material/{words[1]}:", color="orange")
        st.caption(f"No. {record.number} · {plain(triple.source)}" + (f" · {plain(triple.model)}" if triple.model else ""), width="content")
    st.html(f'<div style="{BODY};opacity:.85"><b>Task</b>&ensp;{_escaped(triple.task)}</div>')


def was_swapped(record: TripleRecord) -> bool:
    """Whether positive and negative changed places and nothing else happened; a diff of that could not be read."""
    first, now = record.triple.texts, record.texts
    return (now.query, now.positive, now.negative) == (first.query, first.negative, first.positive)


def _languages(triple: Triple) -> str:
    return f"{triple.language} → {triple.target_language}" if triple.target_language else triple.language


def _verdict_words(record: TripleRecord) -> str:
    standing = record.standing
    if standing.verdict is Verdict.PENDING:
        return "waiting"
    if standing.verdict is Verdict.DISPUTED:
        return "disputed"
    return plain_badge(f"{standing.verdict.value} by {standing.reviewer}" + (f": {standing.reason}" if standing.reason else ""))


def _show_field(record: TripleRecord, name: str, score: float | None, *, show_changes: bool) -> None:
    triple, text = record.triple, getattr(record.texts, name)
    role = GROUPS[triple.group]
    st.markdown(f"**:material/{ICONS[name]}: {TITLES[name]}** :small[:gray[{plain(_role_words(role.kind, name))}]]")
    before = getattr(triple.texts, name)
    if show_changes and record.edited and not was_swapped(record) and before is not None and before != text:
        st.html(changes_html(before, text))
    else:
        st.html(text_html(text, [] if name == "query" else copied_spans(record.texts.query, text)))
    _show_reasons([flag for flag in record.flags if flag.field == name])
    st.caption(plain(_facts(triple, name, text, record.flags)) + ("" if score is None else f" · similarity to the query **{score:.3f}**"))


def _role_words(kind: str, name: str) -> str:
    words = {
        "classification": {"query": "input text", "positive": "its label", "negative": "misleading label"},
        "similarity": {"query": "S1", "positive": "S2, means the same", "negative": "S3, similar only"},
        "translation": {"query": "source", "positive": "its translation", "negative": "mistranslation"},
    }
    return words.get(kind, {}).get(name, "")


def _facts(triple: Triple, name: str, text: str, found: Sequence[Flag]) -> str:
    """Length and language, found against asked."""
    asked_language = triple.language if name == "query" else triple.document_language
    words = count_words(text, asked_language)
    asked = length_asked(triple, name)
    wrong = any(flag.code == "wrong_language" and flag.field == name for flag in found)
    language = f"not {asked_language}, as asked" if wrong else asked_language
    return f"{words} {'word' if words == 1 else 'words'}" + (f" (asked: {asked})" if asked else "") + f" · {language}"


def _show_reasons(found: Sequence[Flag]) -> None:
    for flag in found:
        icon, colour = ("error", "red") if flag.weight >= STRONG else ("warning", "orange")
        st.markdown(f":small[:{colour}[:material/{icon}:] {plain(flag.message)}]")


def _show_suggestion(suggestion: Suggestion) -> None:
    told = f"Suggestion from your {suggestion.learnt_from:,} verdicts: reject ({min(suggestion.probability, 0.99):.0%})"
    st.markdown(f":small[:violet[:material/lightbulb: **{told}**] {plain('; '.join(suggestion.reasons))}]")


def show_history(log: Sequence[Decision]) -> None:
    """All decisions on a triple, oldest first: who, when, from what to what, on which words of the checks, and what was undone.

    Others' verdicts on a triple that is still being read are kept back.
    """
    undone = {entry.undoes for entry in log if entry.action is Action.UNDO}
    hidden = hidden_from(reviewer(), log)
    for entry, before, after in changes_of(log):
        when = f":gray[{entry.created_at[:16].replace('T', ' ')} UTC]"
        if entry.id in hidden or entry.undoes in hidden:
            st.markdown(f"{when} :material/visibility_off: somebody read it; the verdict is shown once all have given theirs")
            continue
        words = f"**{plain(entry.reviewer)}** {_action_words(entry)}" + (f" · {plain(entry.reason)}" if entry.reason else "")
        marks = (" · bulk" if entry.batch_id else "") + (" · undone" if entry.id in undone else "")
        st.markdown(f"{when} {words} :gray[{_change_words(before, after)}{marks}]")
        if entry.shown:
            st.caption("on screen: " + plain("; ".join(entry.shown)))


def _action_words(entry: Decision) -> str:
    if entry.adjudicates:
        return f"{entry.action.value}, settling the dispute"
    if entry.readers > 1 and entry.action in VERDICTS:
        return f"{entry.action.value}, one of {entry.readers} readers"
    return entry.action.value


def _change_words(before: Standing, after: Standing) -> str:
    """From what to what: verdict, and which texts."""
    words = [f"{before.verdict.value} → {after.verdict.value}"] if before.verdict is not after.verdict else []
    return "".join(f" · {word}" for word in (*words, *(["texts changed"] if before.texts != after.texts else [])))
