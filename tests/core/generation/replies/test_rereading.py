from __future__ import annotations

from pathlib import Path

import pytest

from core.storage.ledger import Ledger
from core.workbench import Workbench
from tests.core.generation.jobs import Bench, make_plan
from tests.core.llm.scripted import ScriptedModel, example_text


@pytest.fixture
def bench(workbench: Workbench, tmp_path: Path) -> Bench:
    return Bench(workbench, tmp_path)


def test_replies_a_weaker_parser_failed_are_gained_and_nothing_is_sent(bench: Bench):
    answers = [example_text("sts", 0), f"```json\n{example_text('sts', 1)}\n```", "no JSON at all"]
    model = ScriptedModel(lambda request, n: answers[n])
    bench.generate(model, make_plan(3, in_flight=1))
    [fenced] = [r for r in _all(bench) if (r.reply_text or "").startswith("```")]
    taken = [r.id for r in bench.triples.find() if r.triple.request_key == fenced.key]
    Ledger(bench.workbench.database).mark_failed(fenced.key, "not_json")  # as an older parser left it
    shelf = bench.workbench.replies
    assert len(shelf.failed()) == 2
    report = shelf.reread()
    assert (report.read, report.gained, report.still_failed) == (2, 1, {"not_json": 1})
    assert report.duplicates == len(taken)
    assert len(model.requests) == 3
    assert [r.reply_text for r in shelf.failed()] == ["no JSON at all"]


def test_only_the_chosen_reasons_are_read_again_and_a_better_reason_is_kept(bench: Bench):
    answers = ["I'm sorry, but I can't help with that.", '{"S1": "a"}']
    bench.generate(ScriptedModel(lambda request, n: answers[n]), make_plan(2, in_flight=1))
    ledger = Ledger(bench.workbench.database)
    [refused] = [r for r in bench.workbench.replies.failed() if r.reason == "refusal"]
    ledger.mark_failed(refused.key, "not_json")
    report = bench.workbench.replies.reread(["not_json"])
    assert (report.read, report.gained, report.still_failed) == (1, 0, {"refusal": 1})
    assert ledger.get(refused.key).reason == "refusal"


def test_exact_duplicates_that_were_dropped_can_be_listed(bench: Bench):
    bench.generate(ScriptedModel(lambda request, n: example_text("sts", 7)), make_plan(3, in_flight=1))
    shelf = bench.workbench.replies
    assert len(bench.triples.find()) == 1
    assert len(shelf.duplicates()) == 2
    assert shelf.failed() == []


def _all(bench: Bench) -> list:
    ledger = Ledger(bench.workbench.database)
    return [ledger.get(key) for key in {r.triple.request_key for r in bench.triples.find()} if key]
