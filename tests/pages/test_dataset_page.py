from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from core.domain.dataset import ExportFormat
from core.domain.filters import TripleFilter
from core.domain.identity import content_id
from core.domain.review import MINED, Action, Decision
from core.domain.triple import Flag, Texts, Verdict
from core.storage.artifacts import write_json
from core.storage.decisions import DecisionStore
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
    assert [toast.value for toast in app.toast] == ["10 accepted. Undo takes it back as one."]
    app.button(key="bulk-accept").click().run()
    assert [toast.value for toast in app.toast] == ["0 accepted, 10 were already."]  # undo would take back the step before
    assert workbench.dataset.count(ACCEPTED) == 10
    (step,) = workbench.review.steps("me")
    app.button(key=f"undo-{step.first_id}").click().run()
    assert not app.exception
    assert workbench.dataset.count(ACCEPTED) == 0


def test_of_mined_negatives_those_nobody_used_are_undone_and_it_is_told_who_used_the_others(workspace: Path, workbench: Workbench):
    store, log = TripleStore(workbench.database), DecisionStore(workbench.database)
    ids = store.add([make_triple(f"question {i}", negative=None) for i in range(3)]).added
    texts = [replace(record.texts, negative="mined") for record in store.get_many(ids)]
    log.append([Decision(i, "me", Action.EDIT, texts=t, batch_id=f"{MINED}1") for i, t in zip(ids, texts, strict=True)])
    workbench.review.decide(ids[0], Action.ACCEPT, "bob")
    app = open_page()
    (step,) = workbench.review.steps("me", mined=True)
    app.button(key=f"undo-{step.first_id}").click().run()
    assert not app.exception
    assert [record.texts.negative for record in store.get_many(ids)] == ["mined", None, None]
    assert [toast.value.replace("\\", "") for toast in app.toast] == [
        "Undone: 2 triples.",
        "Not undone: 1 triple. bob gave a verdict on this triple with the texts you gave it.",
    ]


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
    app.button(key="clear-selection").click().run()
    assert app.button(key="bulk-accept").disabled


def select_rows(app: AppTest, *rows: int) -> AppTest:
    """Tick rows of the table as it stands."""
    app.session_state[app.dataframe[0].key] = {"selection": {"rows": list(rows)}}
    return app.run()


def test_what_takes_the_place_of_decided_rows_is_not_selected(workspace: Path, workbench: Workbench, many: list[str]):
    app = open_page(verdict="pending")
    select_rows(app, 0, 2)
    assert app.button(key="bulk-accept").label == "Accept 2"
    app.button(key="bulk-accept").click().run()
    assert not app.exception
    assert [r.id for r in workbench.dataset.search(ACCEPTED)] == [many[0], many[2]]
    assert list(app.dataframe[0].value["no."])[:3] == [2, 4, 5]
    assert app.button(key="bulk-accept").disabled  # nothing is selected: neither what stands there now nor what is out of sight
    select_rows(app, 1).button(key="bulk-accept").click().run()
    assert [r.id for r in workbench.dataset.search(ACCEPTED)] == [many[0], many[2], many[3]]


def test_a_selection_goes_with_its_triples_where_the_rows_move(workspace: Path, workbench: Workbench, many: list[str]):
    app = select_rows(open_page(verdict="pending"), 1)
    workbench.review.decide(many[0], Action.ACCEPT, "ann")  # somebody else, meanwhile: all rows move up by one
    app.run()
    assert app.button(key="bulk-accept").label == "Accept 1"
    app.button(key="bulk-accept").click().run()
    assert [r.id for r in workbench.dataset.search(ACCEPTED)] == [many[0], many[1]]


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


def test_filters_are_counted_and_cleared_together(workspace: Path, many: list[str]):
    app = open_page(verdict="pending", text="subject 2")
    app.toggle(key="bare").set_value(True).run()
    assert any("No triple passes" in m.value for m in app.markdown)
    assert app.button(key="clear-filters").label == "Clear 3 filters"
    app.button(key="clear-filters").click().run()
    assert not app.exception
    assert len(app.dataframe[0].value) == 50
    assert "clear-filters" not in [b.key for b in app.button]


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


def test_a_cluster_whose_best_was_rejected_meanwhile_is_left_alone(workspace: Path, workbench: Workbench, many: list[str]):
    pairs = [[many[0], many[1], 0.9], [many[8], many[9], 0.85]]
    write_json(workbench.settings.workspace / "checks" / "scores.json", {"scores": {}, "near_duplicates": pairs})
    app = open_page(section="Duplicates")
    workbench.review.decide(many[0], Action.REJECT, "ann", reason="duplicate")
    app.button(key="keep-all").click().run()
    assert not app.exception
    assert workbench.review.card(many[1]).standing.verdict is Verdict.PENDING
    assert workbench.review.card(many[9]).standing.verdict is Verdict.REJECTED
    assert any("1 cluster was left" in t.value for t in app.toast)


def compare_by_hand(workbench: Workbench, ids: list[str], vectors: list[list[float]]) -> None:
    """What a comparison by meaning leaves, without the encoder."""
    folder = workbench.settings.workspace / "likeness"
    folder.mkdir()
    np.save(folder / "vectors-x.npy", np.array(vectors, dtype=np.float16))
    texts = [content_id(f"{r.texts.query}\n{r.texts.positive}") for r in workbench.review.cards(ids)]
    write_json(folder / "listing.json", {"ids": ids, "texts": texts, "file": "vectors-x.npy", "made_at": "2026-01-01T00:00:00"})


def test_similar_triples_are_selected_decided_on_and_undone_as_one(workspace: Path, workbench: Workbench, many: list[str]):
    compare_by_hand(workbench, many[:4], [[1.0, 0.0], [0.96, 0.28], [0.8, 0.6], [0.0, 1.0]])
    app = open_page(triple=many[0])
    app.toggle(key="similar").set_value(True).run()
    assert any("2 of 4 triples, compared" in c.value for c in app.caption)  # 0.96 and 0.8 of at least 0.8
    assert any("56 triples came after" in c.value for c in app.caption)
    app.slider(key="similar-least").set_value(0.9).run()
    app.button(key="select-similar-too").click().run()
    assert app.button(key="bulk-reject").label == "Reject 2"
    app.button(key="bulk-reject").click().run()
    assert not app.exception
    rejected = workbench.dataset.search(TripleFilter(verdict=Verdict.REJECTED))
    assert [r.id for r in rejected] == many[:2]
    (step,) = workbench.review.steps("me")
    app.button(key=f"undo-{step.first_id}").click().run()
    assert workbench.dataset.count(TripleFilter(verdict=Verdict.REJECTED)) == 0


def test_before_a_comparison_similar_triples_go_by_words_and_say_how_to_get_more(workspace: Path, workbench: Workbench, many: list[str]):
    app = open_page(triple=many[0])
    app.toggle(key="similar").set_value(True).run()
    assert any("By words of query and positive" in c.value for c in app.caption)
    assert app.button(key="liken").label == "Compare all triples by meaning"
    compare_by_hand(workbench, many[1:3], [[1.0, 0.0], [0.0, 1.0]])
    app.run()
    assert any("after the triples were compared" in c.value for c in app.caption)


def test_without_a_check_the_duplicates_say_what_to_do(workspace: Path, many: list[str]):
    app = open_page(section="Duplicates")
    assert any("Nobody looked for near duplicates yet" in m.value for m in app.markdown)


def test_every_format_can_be_downloaded_and_says_what_it_does_not_hold(workspace: Path, workbench: Workbench, many: list[str]):
    app = open_page(section="Import and export")
    for format_ in ExportFormat:
        app.selectbox(key="export-format").set_value(format_.value).run()
        assert not app.exception
        assert any("Not in it" in c.value and "who decided" in c.value for c in app.caption)
        assert any("A spreadsheet computes a cell" in c.value for c in app.caption) is (format_ is ExportFormat.CSV)


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


def test_data_without_a_name_are_shown_and_keep_the_weight_of_the_name_they_get(workspace: Path, workbench: Workbench):
    workbench.dataset.set_weight("import", 0.5)
    app = open_page(section="Import and export")
    app.text_input(key="import-source").set_value(" ").run()
    assert app.number_input(key="import-weight-import").value == 0.5
    app.file_uploader(key="import-file").upload("pairs.csv", b"question,answer\nwhy,because\n").run()
    app.button(key="import").click().run()
    assert not app.exception
    assert workbench.dataset.weights() == {"import": 0.5}


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
