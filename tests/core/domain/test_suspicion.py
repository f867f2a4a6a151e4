"""How likely a triple is faulty: by its flags, and by how far its measures lie from what is usual in its group."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from core.domain.checks import Nearness
from core.domain.groups import TaskGroup
from core.domain.suspicion import CODE, WEIGHT, calibration, evidence, fault_probability, log_odds, measures, probability
from core.domain.triple import Flag, Texts
from tests.factories import make_triple

NORMS = {"short-long": {"positive cosine": (0.5, 0.1), "documents alike": (0.0, 0.0)}}


def test_measures_are_shares_of_letter_triples_and_a_ratio_of_lengths():
    found = measures(Texts("abcd", "ABCX", "zzzzzzzzzzzzz"), Nearness(0.4, 0.5))
    assert found["query in positive"] == 0.5  # abc of {abc, bcd}
    assert found["query in negative"] == 0
    assert found["documents alike"] == 0
    assert found["length ratio"] == pytest.approx(math.log(9 / 18))
    assert found["cosine lead"] == pytest.approx(0.1)


def test_what_a_triple_lacks_says_nothing():
    assert set(measures(Texts("abcd", "abcx"), None)) == {"query in positive"}
    assert set(measures(Texts("abcd", "abcx"), Nearness(0.4))) == {"query in positive", "positive cosine"}


def test_a_measure_speaks_by_its_standard_deviations_beyond_what_is_usual():
    triple = make_triple(negative="unlike")
    assert evidence(triple, [], Nearness(0.54, 0.0), NORMS) == {}  # 0.4 deviations: usual
    assert evidence(triple, [], Nearness(0.7, 0.0), NORMS) == {"above positive cosine": pytest.approx(1.5)}  # 2 less 0.5
    assert evidence(triple, [], Nearness(-0.9, 0.0), NORMS) == {"below positive cosine": 3.5}  # 14 deviations count as 4


def test_where_all_of_a_group_are_alike_a_small_difference_is_still_small():
    alike = make_triple(positive="abcdef", negative="abcdeX")
    assert evidence(alike, [], None, NORMS)["above documents alike"] == 3.5
    assert evidence(replace(alike, group=TaskGroup.STS), [], None, NORMS) == {}  # nothing is known of the group


def test_every_known_code_makes_a_fault_more_likely_and_a_heavier_flag_more_so():
    triple = make_triple()
    plain = fault_probability(triple, [])
    codes = [name.removeprefix(CODE) for name in calibration()["weights"] if name.startswith(CODE)]
    assert len(codes) > 10
    for code in codes:
        weights = (0.1, 0.2, 0.5, 1.0)
        chances = [fault_probability(triple, [Flag(code, "m", weight=weight)]) for weight in weights]
        assert plain < chances[-1]
        assert chances == sorted(chances)


def test_a_code_that_was_never_seen_speaks_by_its_weight_alone():
    triple = make_triple()
    known = log_odds(evidence(triple, [], None))
    unknown = log_odds(evidence(triple, [Flag("new_check", "m", weight=0.5)], None))
    assert unknown - known == pytest.approx(0.5 * calibration()["weights"][WEIGHT])
    assert unknown > known


def test_the_calibration_says_where_it_comes_from():
    provenance = calibration()["provenance"]
    assert "tuning half" in provenance["on"]
    assert set(calibration()["norms"]) == {group.value for group in TaskGroup}


def test_probabilities_stay_inside_what_a_float_can_hold():
    assert 0 < probability(-1e6) < 1e-12
    assert probability(0) == 0.5
    assert 1 - 1e-12 < probability(1e6) <= 1
