from __future__ import annotations

import pytest
from sklearn.metrics import cohen_kappa_score

from core.domain.review import Reading
from core.domain.triple import Verdict
from core.review.agreement import cohens_kappa, krippendorffs_alpha, report_agreement

# Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability", examples A and C; "." was not rated.
TWO_OBSERVERS = ("0 1 0 0 0 0 0 0 1 0", "1 1 1 0 0 1 0 0 0 0")
FOUR_OBSERVERS = ("1 2 3 3 2 1 4 1 2 . . .", "1 2 3 3 2 2 4 1 2 5 . 3", ". 3 3 3 2 3 4 2 2 5 1 .", "1 2 3 3 2 4 4 1 2 5 1 .")


def by_unit(rows: tuple[str, ...]) -> list[list[str]]:
    return [[value for value in unit if value != "."] for unit in zip(*(row.split() for row in rows), strict=True)]


def table(both_yes: int, only_first: int, only_second: int, both_no: int) -> list[tuple[str, str]]:
    return [("y", "y")] * both_yes + [("y", "n")] * only_first + [("n", "y")] * only_second + [("n", "n")] * both_no


@pytest.mark.parametrize(("rows", "alpha", "units"), [(TWO_OBSERVERS, 0.095, 10), (FOUR_OBSERVERS, 0.743, 11)])
def test_alpha_is_that_of_the_published_examples(rows, alpha, units):
    found = krippendorffs_alpha(by_unit(rows))
    assert found.value == pytest.approx(alpha, abs=0.0005)
    assert found.units == units  # the twelfth was rated once
    assert found.low < found.value < found.high


# The three tables known from textbooks: 0.4; and two with the same 60 % of equal verdicts and different chances.
@pytest.mark.parametrize(("pairs", "kappa"), [(table(20, 5, 10, 15), 0.4), (table(45, 15, 25, 15), 0.1304), (table(25, 35, 5, 35), 0.2593)])
def test_kappa_is_that_of_the_published_tables_and_of_scikit_learn(pairs, kappa):
    found = cohens_kappa(pairs)
    assert found.value == pytest.approx(kappa, abs=0.0001)
    assert found.value == pytest.approx(cohen_kappa_score(*zip(*pairs, strict=True)))
    assert found.low < found.value < found.high


def test_an_interval_narrows_with_the_number_of_triples_and_repeats_with_its_seed():
    few, many = cohens_kappa(table(20, 5, 10, 15)), cohens_kappa(table(2000, 500, 1000, 1500))
    assert many.high - many.low < (few.high - few.low) / 5
    # The standard error of kappa by Cohen's formula, sqrt(po (1 - po) / (n (1 - pe)^2)), is 0.13 at n = 50.
    assert few.high - few.low == pytest.approx(2 * 1.96 * 0.13, abs=0.06)
    assert cohens_kappa(table(20, 5, 10, 15)) == few


def test_full_agreement_is_one_and_one_category_alone_says_nothing():
    assert cohens_kappa(table(3, 0, 0, 3)).value == 1
    assert krippendorffs_alpha([["y", "y"], ["n", "n"]]).value == 1
    for nothing in (cohens_kappa(table(5, 0, 0, 0)), krippendorffs_alpha([["y", "y"]] * 5)):
        assert (nothing.value, nothing.low, nothing.high, nothing.units) == (None, None, None, 5)
    assert krippendorffs_alpha([["y"], []]).units == 0


def test_a_report_pairs_those_who_share_triples_and_names_the_cases_that_differ():
    def read(**verdicts: str) -> list[Reading]:
        return [Reading(name, Verdict(verdict)) for name, verdict in verdicts.items()]

    report = report_agreement(
        {
            "t1": read(ann="accepted", bob="accepted"),
            "t2": read(bob="rejected", ann="rejected"),
            "t3": read(ann="accepted", bob="rejected"),
            "t4": read(bob="accepted", cem="accepted"),
        }
    )
    assert report.reviewers == ("ann", "bob", "cem")
    assert [(p.first, p.second, p.same, p.kappa.units) for p in report.pairs] == [("ann", "bob", 2, 3), ("bob", "cem", 1, 1)]
    assert report.pairs[0].kappa.value == pytest.approx(0.4)  # 2/3 found, 4/9 by chance
    assert report.alpha.units == 4
    assert report.differing == ("t3",)
