"""The strip on the home page always says what to do next."""

from __future__ import annotations

from core.domain.progress import Counts, stages


def by_name(counts: Counts) -> dict[str, tuple[int, str]]:
    return {s.name: (s.count, s.next_step) for s in stages(counts)}


def test_an_empty_workspace_is_led_from_tasks_to_training() -> None:
    strip = by_name(Counts())
    assert strip["Tasks"] == (0, "Brainstorm tasks")
    assert strip["Triples"] == (0, "First accept some tasks")
    assert strip["Versions"] == (0, "First accept some triples")
    assert strip["Runs"] == (0, "First freeze a version")


def test_counts_are_added_up_and_name_the_work_that_waits() -> None:
    counts = Counts(
        prompt_versions=10,
        tasks={"accepted": 3, "proposed": 2},
        triples={"pending": 7, "accepted": 5, "rejected": 1},
        versions=1,
        runs={"done": 2, "failed": 1},
    )
    strip = by_name(counts)
    assert strip["Triples"][0] == 13
    assert strip["Reviewed"] == (6, "Review 7 triples")
    assert strip["Tasks"] == (3, "Judge the proposed tasks")
    assert strip["Runs"] == (2, "Train a model")
