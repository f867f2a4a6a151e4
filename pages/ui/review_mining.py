"""Another hard negative for the card on the desk, mined from the documents there are. Found beside the page: no key waits for it."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field

import streamlit as st

from core.domain.mining import MiningMethod, MiningPlan
from core.domain.review import Action, TripleRecord
from core.domain.triple import Texts
from core.errors import WorkbenchError
from core.review.candidates import CandidateFinder, Candidates
from core.review.mining import Mined
from core.workbench import Workbench
from pages.ui.dataset_mining import METHODS
from pages.ui.problems import show_problem
from pages.ui.review_desk import lay_down, turn
from pages.ui.session import open_workbench, reviewer
from pages.ui.triple_card import text_html

MOST_KEPT = 200  # searches held for all viewers together
PANEL_HEIGHT = 330  # pixels; documents are long, and the keys below must stay in sight
TEXT_HEIGHT, LONG_TEXT = 104, 380  # pixels of a document of more characters, which scrolls: three of them are in sight at once
Key = tuple[str, Texts, MiningMethod, int]


@dataclass
class Search:
    """One search, under way or done."""

    done: int = 0
    total: int = 0
    found: Future[Candidates] = field(default_factory=Future)

    def tell(self, done: int, total: int) -> None:
        """Note how many documents were encoded."""
        self.done, self.total = done, total


@dataclass
class CandidateKeeper:
    """Searches of all viewers, one at a time. Its threads call no Streamlit, and the program ends without waiting for them."""

    finder: CandidateFinder
    searches: dict[Key, Search] = field(default_factory=dict)
    turn: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, record: TripleRecord, plan: MiningPlan) -> Search:
        """The search for these texts, begun now if nobody has asked for it."""
        key = (record.id, record.texts, plan.method, plan.seed)
        if key not in self.searches:
            if len(self.searches) >= MOST_KEPT:
                self.searches.clear()
            search = self.searches[key] = Search()
            threading.Thread(target=self._carry_out, args=(search, record, plan), name="candidates", daemon=True).start()
        return self.searches[key]

    def _carry_out(self, search: Search, record: TripleRecord, plan: MiningPlan) -> None:
        try:
            with self.turn:
                found = self.finder.find(record, plan, search.tell)
        except Exception as error:  # noqa: BLE001 - the page shows it, whatever it is
            search.found.set_exception(error)
        else:
            search.found.set_result(found)

    def forget(self, search: Search) -> None:
        """Have it searched again when it is asked for next."""
        self.searches = {key: kept for key, kept in self.searches.items() if kept is not search}


@st.cache_resource(show_spinner=False)
def _keeper(workspace: str) -> CandidateKeeper:
    return CandidateKeeper(open_workbench().candidates)


def show_mined(workbench: Workbench, record: TripleRecord) -> None:
    """The panel of candidates where it is open: progress while they are looked for, then each with rank, score and share."""
    if not st.session_state.get("mining"):
        return
    with st.container(border=True, key="mined"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown("**A mined hard negative** :small[:gray[instead of the one on the card; choosing one is an edit]]", width="stretch")
            st.segmented_control(
                "Ranked by", list(METHODS), key="mined-by", default=MiningMethod.BASELINE.value, required=True,
                format_func=METHODS.__getitem__, label_visibility="collapsed", width="content",
            )  # fmt: skip
            st.button("Others", key="mined-others", icon=":material/casino:", on_click=_draw_others, help="Draw others that fit as well")
            st.button("Close", key="mined-close", type="tertiary", shortcut="Escape", on_click=turn, args=("mining", False))
        plan = _plan()
        search = _keeper(str(workbench.settings.workspace)).ask(record, plan)
        if search.found.done():
            _show_found(record, search, plan)
        else:
            _watch(record.id)


def _plan() -> MiningPlan:
    method = MiningMethod(st.session_state.get("mined-by") or MiningMethod.BASELINE)
    return MiningPlan(method=method, seed=st.session_state.get("mined-seed", 0), reviewer=reviewer())


def _draw_others() -> None:
    st.session_state["mined-seed"] = st.session_state.get("mined-seed", 0) + 1


@st.fragment(run_every=1.0)
def _watch(triple_id: str) -> None:
    """How far the search is; the page is drawn again when it is over."""
    workbench = open_workbench()
    search = _keeper(str(workbench.settings.workspace)).ask(workbench.review.card(triple_id), _plan())
    if search.found.done():
        st.rerun()
    words = f"{search.done:,} of {search.total:,} documents encoded" if search.total else "Collecting the documents, starting the encoder …"
    st.progress(search.done / search.total if search.total else 0.0, text=words)
    st.caption("Go on meanwhile: every key works, and what is found is kept for this card.")


def _show_found(record: TripleRecord, search: Search, plan: MiningPlan) -> None:
    if problem := search.found.exception():
        if not isinstance(problem, WorkbenchError):
            raise problem
        show_problem(problem)
        keeper = _keeper(str(open_workbench().settings.workspace))
        st.button("Look again", key="mined-retry", icon=":material/refresh:", on_click=keeper.forget, args=(search,))
        return
    found = search.found.result()
    among = f"{found.compared:,} documents" + (f" (a fixed part of {found.known:,})" if found.known > found.compared else "")
    near = f"below {plan.most_of_positive:.0%} of the positive's score"
    if plan.method is MiningMethod.BASELINE:
        near += f" and below {plan.most_similarity:g} (cosine)"
    told = f"Ranks {plan.first_rank} to {plan.last_rank} of {among} of this group and language, {near}."
    if not found.choices:
        st.info(f"No document fits. {told} Rank by the other way, or write one by hand (E).", icon=":material/search_off:")
        return
    st.caption(f"{told} Press the number of one.")
    with st.container(height=PANEL_HEIGHT if len(found.choices) > 1 else "content", border=False):
        for number, mined in enumerate(found.choices, 1):
            _show_choice(record, number, mined, plan.method)


def _show_choice(record: TripleRecord, number: int, mined: Mined, method: MiningMethod) -> None:
    take, text = st.columns([1, 4.2], gap="small")
    take.button(
        "Take", key=f"take-mined-{number}", shortcut=str(number), on_click=take_mined, args=(record, mined, method), width="stretch"
    )  # fmt: skip
    take.caption(f"rank {mined.rank} · score {mined.score:.3f} · {mined.share:.0%} of the positive's")
    with text.container(height=TEXT_HEIGHT if len(mined.text) > LONG_TEXT else "content", border=False):
        st.html(text_html(mined.text))


def take_mined(record: TripleRecord, mined: Mined, method: MiningMethod) -> None:
    """Put a document in the negative's place: an edit like any other, whose reason says where it comes from."""
    review = open_workbench().review
    texts = Texts(record.texts.query, record.texts.positive, mined.text)
    try:
        review.decide(record.id, Action.EDIT, reviewer(), reason=mined.reason(method), texts=texts, seen=record)
        lay_down(review.card(record.id))
    except WorkbenchError as error:
        st.session_state["review-problem"] = error
