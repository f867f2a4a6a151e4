from __future__ import annotations

from core.domain.checks import Thresholds
from core.storage.artifacts import write_json
from core.workbench import Workbench
from pages.ui.check_histograms import histogram
from tests.pages.test_generate_page import open_page
from tests.pages.test_prompts_page import words


def test_before_the_first_check_the_page_says_what_to_do(workbench: Workbench):
    page = open_page()
    assert not page.exception
    assert "No scores yet" in words(page, "markdown")


def test_a_threshold_shows_what_it_would_flag_and_is_kept(workbench: Workbench):
    write_json(workbench.settings.workspace / "checks" / "scores.json", {"scores": {"length": [0.5, 0.7, 0.9, 1.2]}})
    page = open_page()
    assert "2 of 4" in words(page, "caption")  # 0.5 and 0.7 are below 0.8
    page.slider(key="threshold-shortest_share").set_value(0.6).run()
    assert "1 of 4" in words(page, "caption")
    page.button(key="keep-threshold").click().run()
    assert not page.exception
    assert workbench.checks.thresholds() == Thresholds(shortest_share=0.6)
    assert page.button(key="keep-threshold").disabled


def test_the_histogram_counts_every_score_on_its_side_of_the_threshold():
    bars = histogram([0.1, 0.2, 0.2, 0.9, 1.4], 0.5, "above").to_dict()
    rows = next(rows for rows in bars["datasets"].values() if "triples" in rows[0])
    sides = {word: sum(row["triples"] for row in rows if row["would be"] == word) for word in ("flagged", "kept")}
    assert sides == {"flagged": 2, "kept": 3}
