"""The Search page over an engine of this process."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.domain.dataset import DatasetVersion, Example, Split
from core.domain.encoder import EncoderSpec, Role
from core.domain.groups import TaskGroup
from core.domain.triple import Texts
from core.errors import ModelUnusable
from core.retrieval.engine import SearchEngine
from core.retrieval.index import VectorIndex
from core.retrieval.index_facts import IndexFacts
from core.retrieval.shelf import IndexShelf
from core.storage.triples import TripleStore
from core.storage.versions import VersionStore
from pages.ui.ranking_view import Judged, mark_badge, move_badge, snippet
from pages.ui.session import open_workbench
from tests.core.retrieval.fakes import WIDTH, InProcessService, WordEncoder, open_words
from tests.factories import make_triple

SHELL, PAGE = (str(Path(__file__).parents[2] / "pages" / name) for name in ("shell.py", "search.py"))
TEXTS = [
    ("yellow leaves", "too much water", "<b>ginkgo</b> in *autumn*", Split.TRAIN),
    ("white spots on leaves", "spray leaves with soap", "a white rose with spots", Split.HELDOUT),
]


@pytest.fixture
def bench(workspace):
    workbench = open_workbench()  # the one the page will open
    triples = [make_triple(query, positive, negative) for query, positive, negative, _ in TEXTS]
    TripleStore(workbench.database).add(triples)
    examples = [
        Example(triple.id, TaskGroup.SHORT_LONG, triple.task, Texts(q, p, n), "English", None, split)
        for triple, (q, p, n, split) in zip(triples, TEXTS, strict=True)
    ]
    version = DatasetVersion("v1id", "first", "hash", 1, 1, {}, None, "2026-01-01T00:00:00.000+00:00")
    VersionStore(workbench.database).add(version, examples, {})
    engine = SearchEngine(workbench.systems, workbench.corpora, workbench.settings, open_encoder=open_words)
    workbench.service = InProcessService(engine)
    return workbench


@pytest.fixture
def page(bench):
    at = AppTest.from_file(SHELL, default_timeout=20)
    at.run()
    return at.switch_page(PAGE).run()


def index_version(bench, spec: EncoderSpec, system: str) -> None:
    corpus, documents = bench.corpora.get("version:v1id"), bench.corpora.documents("version:v1id")
    vectors = WordEncoder(spec).encode([d.content for d in documents], role=Role.DOCUMENT)
    facts = IndexFacts(
        corpus.id, corpus.content_hash, system, spec.fingerprint, spec.as_dict(), len(documents), WIDTH, built_at="2026-01-01T10:00"
    )
    VectorIndex.build([d.id for d in documents], vectors).save(IndexShelf(bench.settings).folder(corpus.id, spec), facts)


def search_version(page, query: str, systems: list[str]):
    page.selectbox(key="search_in").set_value("version:v1id").run()
    page.multiselect(key="search_by").set_value(systems).run()
    return page.text_input(key="search_q").set_value(query).run()


def markdown(page) -> str:
    return "\n".join(element.value for element in page.markdown)


def test_an_empty_box_offers_queries_and_a_click_searches(page):
    page.multiselect(key="search_by").set_value(["bm25"]).run()
    assert not page.exception
    page.button(key="search-example-0").click().run()
    assert page.text_input(key="search_q").value == "how do I join two paths"
    assert "os\\.path\\.join" in markdown(page)


def test_a_missing_index_is_said_with_a_button_and_the_other_columns_answer(page):
    search_version(page, "soap", ["bm25", "raw"])
    assert not page.exception
    assert "No index of these 4 documents yet" in markdown(page)
    assert page.button(key="search-build-raw").label == "Build index"
    assert "spray leaves with soap" in markdown(page)


def test_a_heldout_query_is_scored_and_its_documents_are_marked(bench, page):
    index_version(bench, EncoderSpec(), "raw")
    search_version(page, "white spots on leaves", ["raw", "bm25"])
    assert not page.exception
    shown = markdown(page)
    # The negative shares two of four words, the positive one of four: the answer comes second, so nDCG = 1 / log2(3) = 0.63.
    assert "nDCG@10 **0.63** · MRR@10 **0.50**" in shown
    assert "Answer: rank **2** of 4" in shown
    assert "Hard negative: rank **1** of 4" in shown
    assert ":green-badge[:material/check_circle: answer]" in shown
    assert ":red-badge[:material/cancel: hard negative]" in shown
    assert "＝ same rank" in shown
    assert any("held out: no model was trained on it" in c.value for c in page.caption)


def test_bm25_shows_only_documents_that_share_a_word(page):
    search_version(page, "soap", ["bm25"])
    assert "**1** · " in markdown(page)
    assert "**2** · " not in markdown(page)
    assert any("share no word" in c.value for c in page.caption)


def test_text_of_the_data_stays_text(page):
    search_version(page, "ginkgo", ["bm25"])
    assert "\\<b\\>ginkgo\\</b\\> in \\*autumn\\*" in markdown(page)


def test_opening_a_hit_shows_the_whole_text_and_where_it_comes_from(bench, page):
    index_version(bench, EncoderSpec(), "raw")
    search_version(page, "too much water", ["raw"])
    page.button(key="search-0-open-1").click().run()
    assert not page.exception
    assert any(t.value == "too much water" for t in page.text)
    assert "Where this hit comes from" in markdown(page)
    assert EncoderSpec().fingerprint in markdown(page)


def test_the_heldout_picker_sets_query_task_and_documents(page):
    page.session_state["search-heldout"] = True  # open the popover
    page.run()
    page.selectbox(key="search-heldout-example").select_index(0).run()
    assert not page.exception
    assert page.selectbox(key="search_in").value == "version:v1id"
    assert page.text_input(key="search_q").value == "white spots on leaves"
    assert page.selectbox(key="search_task").value == make_triple().task


def test_a_system_that_fails_shows_its_hint_and_leaves_the_others_alone(bench, page):
    index_version(bench, EncoderSpec(), "raw")

    def refuse(spec, settings):
        raise ModelUnusable("The model cannot be used.", hint="Train it again.")

    bench.service.engine = SearchEngine(bench.systems, bench.corpora, bench.settings, open_encoder=refuse)
    search_version(page, "soap", ["raw", "bm25"])
    assert not page.exception
    assert "Train it again" in page.error[0].value
    assert "spray leaves with soap" in markdown(page)


def test_a_service_on_its_way_is_progress_not_an_error(bench, page):
    bench.service.running = False
    page.run()
    assert not page.exception
    assert not page.error
    assert page.status[0].label == "Starting the model service …"
    assert bench.service.started > 0
    bench.service.running = True
    page.run()
    assert page.text_input(key="search_q") is not None


def test_a_view_can_be_linked_to(bench):
    at = AppTest.from_file(SHELL, default_timeout=20)
    at.run()
    at.query_params["search_q"] = "soap"
    at.query_params["search_k"] = "5"
    at.switch_page(PAGE).run()
    assert at.text_input(key="search_q").value == "soap"
    assert at.selectbox(key="search_k").value == 5


def test_moves_are_told_in_words_and_arrows():
    assert move_badge(2, 5) == ":green-badge[▲ up 3, was 5]"
    assert move_badge(5, 2) == ":orange-badge[▼ down 3, was 2]"
    assert move_badge(1, 1) == ":gray-badge[＝ same rank]"
    assert mark_badge("x", Judged(("x",), ("y",))) != mark_badge("y", Judged(("x",), ("y",)))
    assert mark_badge("z", Judged()) == ""


def test_snippets_count_wide_characters_twice():
    assert snippet("a b\n c") == "a b c"
    assert snippet("x" * 10, width=4) == "xxxx …"
    assert snippet("检索模型", width=4) == "检索 …"
