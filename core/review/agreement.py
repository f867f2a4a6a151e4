"""How far independent readers agree beyond chance: Cohen's kappa of two, Krippendorff's alpha of all, each with a bootstrap interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from core.domain.review import Reading

SAMPLES = 2000
BLOCK = 200  # resamples in memory at once
Tables = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Agreement:
    """A coefficient with its 95 % interval; None where chance alone would agree always, or nothing was read by two."""

    value: float | None
    low: float | None
    high: float | None
    units: int  # triples it rests on


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two reviewers on the triples both of them read."""

    first: str
    second: str
    same: int  # triples with the same verdict
    kappa: Agreement


@dataclass(frozen=True, slots=True)
class AgreementReport:
    """All reviewers together, and each pair that shares a triple."""

    alpha: Agreement
    pairs: tuple[PairAgreement, ...]
    reviewers: tuple[str, ...]
    differing: tuple[str, ...]  # triples whose readers differ, settled since or not


def report_agreement(readings: Mapping[str, Sequence[Reading]], *, seed: int = 0) -> AgreementReport:
    """Agreement of verdicts, by triple."""
    read = {triple: {r.reviewer: r.verdict.value for r in readings[triple]} for triple in sorted(readings)}
    units = list(read.values())
    reviewers = tuple(sorted({name for unit in units for name in unit}))
    pairs = []
    for first, second in combinations(reviewers, 2):
        shared = [(unit[first], unit[second]) for unit in units if first in unit and second in unit]
        if shared:
            pairs.append(PairAgreement(first, second, sum(a == b for a, b in shared), cohens_kappa(shared, seed=seed)))
    differing = tuple(triple for triple, unit in read.items() if len(set(unit.values())) > 1)
    return AgreementReport(krippendorffs_alpha((unit.values() for unit in units), seed=seed), tuple(pairs), reviewers, differing)


def cohens_kappa(pairs: Sequence[tuple[str, str]], *, samples: int = SAMPLES, seed: int = 0) -> Agreement:
    """Agreement of two raters beyond what their own shares of each category give by chance (Cohen 1960).

    Args:
        pairs: the two raters' categories, one pair for each unit both rated.
        samples: resamples of the units for the interval.
        seed: of the resampling.
    """
    places = _places(category for pair in pairs for category in pair)
    tables = np.zeros((len(pairs), len(places), len(places)))  # (units, categories, categories)
    for unit, (first, second) in enumerate(pairs):
        tables[unit, places[first], places[second]] = 1
    return _estimate(tables, _kappa_of, samples, seed)


def krippendorffs_alpha(units: Iterable[Iterable[str]], *, samples: int = SAMPLES, seed: int = 0) -> Agreement:
    """Agreement of any number of raters on nominal categories, where not everybody rated everything (Krippendorff 2011).

    Args:
        units: the categories each unit was given; units with fewer than two say nothing and are left out.
        samples: resamples of the units for the interval.
        seed: of the resampling.
    """
    rated = [values for values in map(list, units) if len(values) > 1]
    places = _places(value for values in rated for value in values)
    tables = np.zeros((len(rated), len(places), len(places)))  # coincidences: pairs of values within a unit, each unit weighing its size
    for unit, values in enumerate(rated):
        counts = np.bincount([places[value] for value in values], minlength=len(places)).astype(float)
        tables[unit] = (np.outer(counts, counts) - np.diag(counts)) / (len(values) - 1)
    return _estimate(tables, _alpha_of, samples, seed)


def _places(categories: Iterable[str]) -> dict[str, int]:
    return {category: place for place, category in enumerate(sorted(set(categories)))}


def _estimate(tables: Tables, coefficient: Callable[[Tables], Tables], samples: int, seed: int) -> Agreement:
    """The coefficient of the summed tables, and its percentiles over resamples of the units (undefined resamples left out)."""
    units = len(tables)
    if not units:
        return Agreement(None, None, None, 0)
    value = float(coefficient(tables.sum(axis=0)[None])[0])
    if np.isnan(value):
        return Agreement(None, None, None, units)
    generator = np.random.default_rng(seed)
    flat = tables.reshape(units, -1)
    drawn = []
    for done in range(0, samples, BLOCK):
        weights = generator.multinomial(units, np.full(units, 1 / units), size=min(BLOCK, samples - done))  # (resamples, units)
        drawn.append(coefficient((weights @ flat).reshape(-1, *tables.shape[1:])))
    low, high = np.nanpercentile(np.concatenate(drawn), [2.5, 97.5])
    return Agreement(value, float(low), float(high), units)


def _kappa_of(tables: Tables) -> Tables:
    """Kappa of each contingency table (n, categories, categories)."""
    shares = tables / tables.sum(axis=(1, 2), keepdims=True)
    observed = np.trace(shares, axis1=1, axis2=2)
    expected = (shares.sum(axis=2) * shares.sum(axis=1)).sum(axis=1)
    return _beyond_chance(1 - observed, 1 - expected)


def _alpha_of(tables: Tables) -> Tables:
    """Alpha of each coincidence matrix (n, categories, categories)."""
    by_category = tables.sum(axis=2)
    total = by_category.sum(axis=1)
    observed = 1 - np.trace(tables, axis1=1, axis2=2) / total
    expected = (total**2 - (by_category**2).sum(axis=1)) / (total * (total - 1))
    return _beyond_chance(observed, expected)


def _beyond_chance(observed: Tables, expected: Tables) -> Tables:
    """1 - disagreement found / disagreement by chance; NaN where chance cannot disagree."""
    possible = expected > 1e-12
    return np.where(possible, 1 - observed / np.where(possible, expected, 1), np.nan)
