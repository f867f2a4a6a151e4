from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from core.domain.people import ReviewRules, Seat
from core.storage.database import Database
from core.storage.leases import LeaseStore
from core.storage.triples import TripleStore
from tests.factories import make_triples

ANN = Seat("ann", "w1", "2026-01-01T10:00:00.000+00:00", ReviewRules(lease_minutes=5))
BOB = replace(ANN, reviewer="bob", holder="w2")


@pytest.fixture
def opened(tmp_path: Path) -> tuple[LeaseStore, list[str]]:
    database = Database(f"sqlite:///{tmp_path / 't.db'}")
    database.migrate()
    return LeaseStore(database), TripleStore(database).add(make_triples(2)).added


def test_a_card_has_as_many_places_as_readers(opened):
    leases, (a, _) = opened
    assert leases.hold(a, ANN)
    assert not leases.hold(a, BOB)
    assert leases.hold(a, BOB, places=2)
    assert leases.reviewers_of(a, ANN.at) == ["ann", "bob"]


def test_who_is_done_with_a_card_takes_no_place_of_it(opened):
    leases, (a, _) = opened
    assert leases.hold(a, ANN)
    assert leases.hold(a, BOB, done=["ann"])
    assert not leases.hold(a, replace(ANN, reviewer="cem", holder="w3"), done=["ann"])
    assert leases.reviewers_of(a, ANN.at) == ["ann", "bob"]


def test_a_refused_card_leaves_the_window_what_it_held(opened):
    leases, (a, b) = opened
    leases.hold(a, ANN)
    leases.hold(b, BOB)
    assert not leases.hold(a, BOB)
    assert leases.reviewers_of(b, ANN.at) == ["bob"]
    leases.hold(b, ANN, places=2)
    assert leases.reviewers_of(a, ANN.at) == []


def test_a_lease_ends_after_its_minutes_to_the_millisecond(opened):
    leases, (a, _) = opened
    leases.hold(a, ANN)
    assert leases.reviewers_of(a, "2026-01-01T10:04:59.999+00:00") == ["ann"]
    late = replace(BOB, at="2026-01-01T10:05:00.000+00:00")
    assert leases.reviewers_of(a, late.at) == []
    assert leases.hold(a, late)
    assert not leases.renew(replace(ANN, at=late.at))


def test_release_gives_back_only_what_the_window_holds(opened):
    leases, (a, b) = opened
    leases.hold(a, ANN)
    leases.hold(b, BOB)
    leases.release("w1")
    assert (leases.reviewers_of(a, ANN.at), leases.reviewers_of(b, ANN.at)) == ([], ["bob"])
