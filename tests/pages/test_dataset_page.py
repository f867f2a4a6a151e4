from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from core.domain.dataset import ExportFormat
from core.domain.filters import TripleFilter
from core.domain.review import Action
from core.domain.triple import Flag, Texts, Verdict
from core.storage.artifacts import write_json
from core.storage.triples import TripleStore
from core.workbench import Workbench
from tests.factories import make_triple, make_triples

PAGES = Path(__file__).resolve().parents[2] / "pages"
ACCEPTED = TripleFilter(verdict=Verdict.ACCEPTED)


def open_page(**parameters: str) -> AppTest:
    app = AppTest.from_file(str(PAGES / "shell.py"), default_timeout=20).run()
    app.switch_page(str(PAGES / "dataset.py"))
    for name, value in parameters.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception
    return app


@pytest.fixture
def many(workbench: Workbench) -> list[str]:
    return TripleStore(workbench.database).add(make_triples(60, tasks=6)).added


def test_an_empty_dataset_points_on(workspace: Path, workbench: Workbench):
    app = open_page()
    assert any("no triples yet" in m.value for m in app.markdown)
    app.button(key="load-starter").click().run()
    assert workbench.dataset.count() >= 150
    assert len(app.dataframe[0].value) == 50


def test_the_table_is_paged_and_filtered(workspace: Path, many: list[str]):
    app = open_page()
    assert list(app.dataframe[0].value["no."])[:2] == [1, 2]
    assert any("1 to 50 of 60" in c.value for c in app.caption)
    app.get_by_key("page").set_value(2).run()
    assert list(app.dataframe[0].value["no."]) == list(range(51, 61))
    app.text_input(key="text").set_value("question number 59").run()
    assert list(app.dataframe[0].value["no."]) == [60]
    app.text_input(key="text").set_value("nowhere").run()
    assert any("No triple passes" in m.value for m in app.markdown)


def test_all_that_pass_are_accepted_and_undone_as_one(workspace: Path, workbench: Workbench, many: list[str]):
    app = open_page(text="subject 2")
    assert app.button(key="bulk-accept").disabled
    app.get_by_key("scope").set_value("all").run()
    app.button(key="bulk-accept").click().run()
    assert not app.exception
    assert workbench.dataset.count(ACCEPTED) == 10
    (step,) = workbench.review.steps("me")
    app.button(key=f"undo-{step.first_id}").click().run()
    assert not app.exception
    assert workbench.dataset.count(ACCEPTED) == 0


def test_one_triple_is_followed_from_its_decisions_to_its_version(workspace: Path, workbench: Workbench, many: list[str]):
    workbench.review.decide(many[0], Action.ACCEPT, "ann")
    workbench.dataset.freeze("first version")
    app = open_page(triple=many[0])
    words = " ".join(m.value for m in app.markdown)
    assert "**ann** accept" in words
    assert "first version" in words


def test_freezing_shows_the_split_before_and_the_version_after(workspace: Path, workbench: Workbench, many: list[str]):
    workbench.review.bulk(many, Action.ACCEPT, "ann")
    app = open_page(section="Versions")
    assert [m.value for m in app.metric][:2] == ["50", "10"]  # one of six tasks is held out
    app.slider(key="freeze-share").set_value(0.5).run()
    assert [m.value for m in app.metric][:2] == ["30", "30"]
    app.button(key="freeze").click().run()
    assert not app.exception
    (version,) = workbench.dataset.versions()
    assert (version.name, version.train_count, version.heldout_count) == ("v1", 30, 30)
    assert version.content_hash[:16] in [h for table in app.dataframe for h in table.value.get("content hash", [])]
    app.text_input(key="freeze-name").set_value("v1").run()
    app.button(key="freeze").click().run()
    assert "exists" in app.error[0].value
    assert len(workbench.dataset.versions()) == 1


def test_nothing_accepted_points_to_review(workspace: Path, many: list[str]):
    app = open_page(section="Versions")
    assert any("Nothing is accepted yet" in m.value for m in app.markdown)


def test_a_file_comes_in_with_a_report_on_its_bad_rows(workspace: Path, workbench: Workbench):
    row = {"group": "short-long", "task": "T", "query": "q", "positive": "p", "negative": "n"}
    app = open_page(section="Import and export")
    app.file_uploader(key="import-file").upload("rows.jsonl", f"{json.dumps(row)}\nbroken <b>\n".encode()).run()
    app.button(key="import").click().run()
    assert not app.exception
    assert workbench.dataset.count() == 1
    assert list(app.dataframe[0].value["line"]) == [2]
    assert [m.value for m in app.metric] == ["1", "0", "0", "1"]


def test_a_file_of_bad_rows_gives_message_and_hint_and_keeps_what_was_there(workspace: Path, workbench: Workbench, many: list[str]):
    app = open_page(section="Import and export")
    app.file_uploader(key="import-file").upload("rows.jsonl", b"nonsense").run()
    app.button(key="import").click().run()
    assert "No row can be used" in app.error[0].value
    assert "What to do" in app.error[0].value
    assert workbench.dataset.count() == 60


def test_the_shape_draws_whatever_the_names(workspace: Path, workbench: Workbench):
    TripleStore(workbench.database).add([make_triple(language="<b>x</b>", topic="$x$"), make_triple("two", topic="")])
    app = open_page(section="Shape")
    assert len(app.get("vega_lite_chart")) == 3


HOSTILE = "<script>alert(1)</script> **bold** $x^2$ [a](javascript:b) :red[c] \u202egnirts\u202c \x07 :material/home:"


def markup_of(app: AppTest) -> list[str]:
    """Everything the page sends to be read as markdown or HTML."""
    return [str(m.value) for m in app.markdown] + [str(c.value) for c in app.caption] + [str(h.proto.body) for h in app.get("html")]


@pytest.mark.parametrize("section", ["Triples", "Duplicates", "Versions", "Import and export", "Shape"])
def test_whatever_a_triple_holds_is_shown_as_text(workspace: Path, workbench: Workbench, section: str):
    ids = TripleStore(workbench.database).add([
        make_triple(f"{HOSTILE} {i}", f"{HOSTILE} p{i}", f"{HOSTILE} n{i}", task=f"{HOSTILE} t{i}", topic=HOSTILE, source=HOSTILE,
                    language=f"L{HOSTILE}") for i in range(3)
    ]).added  # fmt: skip
    write_json(
        workbench.settings.workspace / "checks" / "scores.json",
        {"scores": {}, "near_duplicates": [[ids[0], ids[1], 0.9]], "nearness": {}},
    )
    workbench.review.bulk(ids, Action.ACCEPT, "ann")
    workbench.dataset.freeze("v1", heldout_share=0)
    workbench.review.decide(ids[0], Action.EDIT, "ann", texts=Texts(f"{HOSTILE} edited", "p", "n"))
    workbench.dataset.freeze("v2", heldout_share=0)
    workbench.review.decide(ids[2], Action.EDIT, "ann", texts=Texts("q", f"{HOSTILE} only", HOSTILE))
    state = {"similar": True, "check-overlap": True}
    app = open_page(section=section, **({"triple": ids[0]} if section == "Triples" else {}))
    for key in state:
        if key in [t.key for t in app.toggle]:
            app.toggle(key=key).set_value(True).run()
    assert not app.exception
    assert not app.error
    shown = markup_of(app)
    assert not [text for text in shown if "<script>alert" in text]
    assert not [text for text in shown if "\u202e" in text or "\x07" in text]
    assert not [text for text in shown if "**bold**" in text and "<" not in text]  # markdown that would be read as such
    cells = [str(cell) for table in app.dataframe for column in table.value for cell in table.value[column]]
    assert not [cell for cell in cells if "\u202e" in cell or "\x07" in cell]


def test_a_selection_is_kept_over_pages_and_filters(workspace: Path, workbench: Workbench, many: list[str]):
    app = open_page()
    app.session_state["chosen-triples"] = dict.fromkeys(many[55:58])
    app.run()
    assert app.button(key="bulk-accept").label == "Accept 3"
    app.text_input(key="text").set_value("subject 2").run()
    assert app.button(key="bulk-accept").label == "Accept 3"
    app.button(key="bulk-accept").click().run()
    assert workbench.dataset.count(ACCEPTED) == 3
    app.button(key="clear-selection").click().run()
    assert app.button(key="bulk-accept").disabled


def test_ranges_of_suspicion_and_days_narrow_the_table(workspace: Path, workbench: Workbench):
    flags = {0: 0.2, 1: 0.9}
    triples = make_triples(3)
    TripleStore(workbench.database).add(triples, {triples[i].id: [Flag("x", "x", "", weight)] for i, weight in flags.items()})
    app = open_page()
    app.slider(key="suspicion").set_range(0.5, 3.0).run()
    assert list(app.dataframe[0].value["no."]) == [2]
    app.slider(key="suspicion").set_range(0.0, 0.5).run()
    assert list(app.dataframe[0].value["no."]) == [1, 3]
    app.date_input(key="since").set_value(datetime.now(UTC).date() + timedelta(days=2)).run()
    assert any("No triple passes" in m.value for m in app.markdown)


def test_clusters_are_settled_by_one_click_and_undone_as_one(workspace: Path, workbench: Workbench, many: list[str]):
    pairs = [[many[0], many[1], 0.9], [many[1], many[2], 0.95], [many[8], many[9], 0.85]]
    write_json(workbench.settings.workspace / "checks" / "scores.json", {"scores": {}, "near_duplicates": pairs, "nearness": {}})
    app = open_page(section="Duplicates")
    assert any("**2 clusters**, 5 triples" in m.value for m in app.markdown)
    app.button(key=f"keep-{many[0]}").click().run()
    assert workbench.dataset.count(TripleFilter(verdict=Verdict.REJECTED, reason="duplicate")) == 2
    app.button(key="keep-all").click().run()
    assert workbench.dataset.count(TripleFilter(verdict=Verdict.REJECTED)) == 3
    assert any("No near duplicates are open" in m.value or "Nobody looked" in m.value for m in app.markdown)
    workbench.review.undo("me")
    workbench.review.undo("me")
    assert workbench.dataset.count(TripleFilter(verdict=Verdict.REJECTED)) == 0


def test_without_a_check_the_duplicates_say_what_to_do(workspace: Path, many: list[str]):
    app = open_page(section="Duplicates")
    assert any("Nobody looked for near duplicates yet" in m.value for m in app.markdown)


def test_every_format_can_be_downloaded_and_says_what_it_does_not_hold(workspace: Path, workbench: Workbench, many: list[str]):
    app = open_page(section="Import and export")
    for format_ in ExportFormat:
        app.selectbox(key="export-format").set_value(format_.value).run()
        assert not app.exception
        assert any("Not in it" in c.value and "who decided" in c.value for c in app.caption)


def test_pairs_come_in_with_name_instruction_and_weight_and_can_be_mined(workspace: Path, workbench: Workbench):
    app = open_page(section="Import and export")
    app.text_input(key="import-source").set_value("nq").run()
    app.number_input(key="import-weight-nq").set_value(0.5)
    app.text_input(key="import-task").set_value("Given a question, find its answer.")
    app.file_uploader(key="import-file").upload("pairs.csv", b"question,answer\nwhy,because\n").run()
    app.button(key="import").click().run()
    assert not app.exception
    (record,) = workbench.dataset.search()
    assert (record.triple.source, record.triple.task) == ("nq", "Given a question, find its answer.")
    assert workbench.dataset.weights() == {"nq": 0.5}
    assert any("1 triples have none" in c.value for c in app.caption)
    assert app.button(key="mine")


def test_a_difference_shows_the_texts_before_and_after(workspace: Path, workbench: Workbench, many: list[str]):
    workbench.review.bulk(many[:10], Action.ACCEPT, "ann")
    workbench.dataset.freeze("v1", heldout_share=0)
    workbench.review.decide(many[0], Action.EDIT, "ann", texts=Texts("altered question", "The answer to matter 0", "n"))
    workbench.review.decide(many[1], Action.REJECT, "ann", reason="other")
    workbench.dataset.freeze("v2", heldout_share=0)
    app = open_page(section="Versions")
    assert {m.label: m.value for m in app.metric if m.label in ("added", "removed", "changed")} == {
        "added": "0",
        "removed": "1",
        "changed": "1",
    }
    assert any("question number 1" in str(q) for table in app.dataframe for q in table.value.get("query", []))
    app.get_by_key("diff-kind").set_value("changed").run()
    assert any("altered" in str(h.proto.body) and "<del" in str(h.proto.body) for h in app.get("html"))
    app.toggle(key="check-overlap").set_value(True).run()
    assert any("Tercet" in s.value and "no query" in s.value for s in app.success)
