"""Points and the vectors of one or two models become the table a map is drawn from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from core.encoder.text_encoder import TextEncoder
from core.exploration.clusters import cluster, cluster_names
from core.exploration.neighbours import margins, nearest, neighbour_change
from core.exploration.points import EncodedText, Point, PointKind
from core.exploration.projection import Layout

CHUNK = 64  # texts between two signs of progress
SHOWN_NEIGHBOURS = 10

Vectors = NDArray[np.float32]  # (distinct texts, d), unit rows


def distinct_texts(points: Sequence[Point]) -> tuple[list[EncodedText], NDArray[np.int64]]:
    """What has to be encoded, each once, and for each point the row of its vector."""
    row: dict[EncodedText, int] = {}
    rows = [row.setdefault(point.encoded, len(row)) for point in points]
    return list(row), np.array(rows, dtype=np.int64)


def encode_all(encoder: TextEncoder, texts: Sequence[EncodedText], done: Callable[[int], None]) -> Vectors:
    """Vectors in the order of `texts`, encoded role by role and task by task."""
    vectors = np.empty((len(texts), encoder.dimensions), dtype=np.float32)
    alike: dict[tuple[str, str | None], list[int]] = {}
    for i, text in enumerate(texts):
        alike.setdefault((text.role, text.task), []).append(i)
    for rows in alike.values():
        role, task = texts[rows[0]].role, texts[rows[0]].task
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            vectors[chunk] = encoder.encode([texts[i].text for i in chunk], role=role, task=task)
            done(len(chunk))
    return vectors


def map_table(points: Sequence[Point], rows: NDArray[np.int64], layouts: Sequence[Layout], vectors: Sequence[Vectors]) -> pd.DataFrame:
    """One row a point, with all that a map is coloured and selected by.

    Columns: those of `Point`; x, y and margin (x2, y2, margin2 of a second model); near (near2): rows of this table, nearest first;
    cluster and cluster_name; change: the share of neighbours that differ between the two models, NaN with one.
    """
    table = pd.DataFrame([asdict(point) for point in points])
    first_point = _first_points(rows, len(vectors[0]))
    found = [nearest(v, SHOWN_NEIGHBOURS) for v in vectors]
    for number, (layout, vector, near) in enumerate(zip(layouts, vectors, found, strict=True), start=1):
        suffix = "" if number == 1 else str(number)
        table[f"x{suffix}"], table[f"y{suffix}"] = layout[rows, 0], layout[rows, 1]
        table[f"margin{suffix}"] = _margin_of_owners(table, vector[rows])
        table[f"near{suffix}"] = list(first_point[near][rows])
    labels = cluster(layouts[-1])[rows]  # of the last model: where there are two, the tuned one's order is the one to name
    names = cluster_names(labels, table["text"].tolist())
    table["cluster"], table["cluster_name"] = labels, [names[label] for label in labels.tolist()]
    table["change"] = neighbour_change(found[0], found[1])[rows] if len(found) == 2 else np.nan
    return table


def _first_points(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """For each distinct text the first point that shows it."""
    first = np.full(count, -1, dtype=np.int64)
    for point in range(len(rows) - 1, -1, -1):
        first[rows[point]] = point
    return first


def _margin_of_owners(table: pd.DataFrame, vectors: Vectors) -> NDArray[np.float64]:
    """The margin of a point's triple; NaN where it has no negative."""
    places = {kind: {owner: i for i, owner in zip(part.index, part["owner"], strict=True)} for kind, part in table.groupby("kind")}
    queries, positives, negatives = (places.get(k, {}) for k in (PointKind.QUERY, PointKind.POSITIVE, PointKind.NEGATIVE))
    owners = [o for o in queries if o in positives and o in negatives]
    if not owners:
        return np.full(len(table), np.nan)
    values = margins(*(vectors[[place[o] for o in owners]] for place in (queries, positives, negatives)))
    return table["owner"].map(dict(zip(owners, values, strict=True))).to_numpy(dtype=np.float64)
