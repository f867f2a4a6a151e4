"""How likely a triple is faulty, by what its checks and the baseline encoder say of it: what "most suspicious first" sorts by.

The numbers in suspicion.json are fitted by `python -m bench.queue_order --fit`, with where they come from. A flag speaks by its own weight
and by what its code was worth on labelled faults; a code that was never seen there speaks by its weight alone. Measures speak by how far
they lie from what is usual in the triple's group.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from core.domain.checks import Nearness
from core.domain.triple import Flag, Texts, Triple

CALIBRATION = Path(__file__).with_suffix(".json")
GRAM = 3  # characters
USUAL = 0.5  # standard deviations from the group's mean within which a measure says nothing
FARTHEST = 4.0  # standard deviations; beyond, it says no more
LEAST_SPREAD = 0.02  # of a measure, so that a group in which all are alike does not make every other value an outlier
CODE, BELOW, ABOVE = "code ", "below ", "above "  # prefixes of what speaks
WEIGHT = "weight of the flags"
BOTH_CERTAIN = 30.0  # log-odds beyond which a float is 0 or 1


def measures(texts: Texts, nearness: Nearness | None) -> dict[str, float]:
    """Numbers a triple can be unusual by, as far as it has them: cosines by the baseline encoder, shared letters, lengths."""
    query, positive = _grams(texts.query), _grams(texts.positive)
    found = {"query in positive": _share(query, positive)}
    if texts.negative is not None:
        negative = _grams(texts.negative)
        found["query in negative"] = _share(query, negative)
        found["documents alike"] = len(positive & negative) / max(1, len(positive | negative))
        found["length ratio"] = math.log((len(texts.positive) + 5) / (len(texts.negative) + 5))
    if nearness is not None:
        found["positive cosine"] = nearness.positive
        if nearness.negative is not None:
            found["negative cosine"] = nearness.negative
            found["cosine lead"] = nearness.negative - nearness.positive
    return found


def evidence(
    triple: Triple, flags: Iterable[Flag], nearness: Nearness | None, norms: Mapping[str, Mapping[str, tuple[float, float]]] | None = None
) -> dict[str, float]:
    """What speaks for or against a fault, by name: each code, the flags' weight, and how unusual each measure is (standard deviations).

    `triple` holds the texts as they stand. `norms`: group -> measure -> (mean, standard deviation); the calibration's where absent.
    """
    found: dict[str, float] = {}
    for flag in flags:
        found[CODE + flag.code] = 1.0
        found[WEIGHT] = found.get(WEIGHT, 0.0) + flag.weight
    usual = (norms if norms is not None else calibration()["norms"]).get(triple.group.value, {})
    for name, value in measures(triple.texts, nearness).items():
        if name not in usual:
            continue
        mean, spread = usual[name]
        off = (value - mean) / max(spread, LEAST_SPREAD)
        if abs(off) > USUAL:
            found[(ABOVE if off > 0 else BELOW) + name] = min(abs(off), FARTHEST) - USUAL
    return found


def log_odds(found: Mapping[str, float]) -> float:
    """Log-odds of a fault by the calibration; what it never saw says nothing beyond its weight."""
    weights: dict[str, float] = calibration()["weights"]
    return float(calibration()["intercept"]) + sum(weights.get(name, 0.0) * value for name, value in found.items())


def probability(odds: float) -> float:
    """Probability of these log-odds."""
    return 1 / (1 + math.exp(-max(-BOTH_CERTAIN, min(BOTH_CERTAIN, odds))))


def fault_probability(triple: Triple, flags: Iterable[Flag], nearness: Nearness | None = None) -> float:
    """How likely a triple is faulty where one in five is, as in the calibration's data. `triple` holds the texts as they stand."""
    return probability(log_odds(evidence(triple, flags, nearness)))


@cache
def calibration() -> dict[str, Any]:
    """The fitted numbers: `provenance`, `intercept`, `weights` by name of evidence, `norms` by group and measure."""
    found: dict[str, Any] = json.loads(CALIBRATION.read_text(encoding="utf-8"))
    return found


@lru_cache(maxsize=16)
def _grams(text: str) -> frozenset[str]:
    flat = " ".join(text.lower().split())
    return frozenset(flat[i : i + GRAM] for i in range(len(flat) - GRAM + 1))


def _share(part: frozenset[str], whole: frozenset[str]) -> float:
    return len(part & whole) / max(1, len(part))
