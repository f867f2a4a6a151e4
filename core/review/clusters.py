"""Near duplicates as clusters: triples that a chain of pairs joins, and which one of them to keep."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from core.domain.review import TripleRecord
from core.domain.triple import Verdict

Pair = tuple[str, str, float]  # earlier id, later id, similarity
STANDING = {Verdict.ACCEPTED: 0, Verdict.PENDING: 1, Verdict.DISPUTED: 1, Verdict.REJECTED: 2}  # what was accepted is kept


@dataclass(frozen=True, slots=True)
class Cluster:
    """Triples that say nearly the same, the one to keep first; `similarity` is that of its closest pair."""

    records: tuple[TripleRecord, ...]
    similarity: float

    @property
    def best(self) -> TripleRecord:
        """The one to keep."""
        return self.records[0]

    @property
    def others(self) -> tuple[str, ...]:
        """Ids of the rest."""
        return tuple(record.id for record in self.records[1:])


def joined(pairs: Iterable[Pair]) -> list[tuple[tuple[str, ...], float]]:
    """Ids that belong together, with the similarity of the closest pair; the largest first, then the closest."""
    parent: dict[str, str] = {}

    def root(i: str) -> str:
        parent.setdefault(i, i)
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    listed = list(pairs)
    for a, b, _ in listed:
        parent[root(b)] = root(a)
    members: dict[str, list[str]] = {}
    for i in parent:
        members.setdefault(root(i), []).append(i)
    closest: dict[str, float] = {}
    for a, _, similarity in listed:
        closest[root(a)] = max(similarity, closest.get(root(a), 0.0))
    found = [(tuple(sorted(ids)), closest[top]) for top, ids in members.items()]
    return sorted(found, key=lambda cluster: (-len(cluster[0]), -cluster[1], cluster[0]))


def best_first(records: Iterable[TripleRecord]) -> list[TripleRecord]:
    """What to keep first: accepted, with a negative, least suspicious, edited by a person, oldest."""
    return sorted(
        records, key=lambda r: (STANDING[r.standing.verdict], r.texts.negative is None, round(r.suspicion, 3), not r.edited, r.number)
    )


def open_clusters(pairs: Iterable[Pair], records: Sequence[TripleRecord]) -> list[Cluster]:
    """Clusters of the records that are not rejected; one that has a single such member left is settled."""
    by_id = {record.id: record for record in records if record.standing.verdict is not Verdict.REJECTED}
    found = []
    for ids, similarity in joined(pair for pair in pairs if pair[0] in by_id and pair[1] in by_id):
        found.append(Cluster(tuple(best_first(by_id[i] for i in ids)), similarity))
    return found
