"""Near duplicates as clusters: triples that a chain of pairs joins, and which one of them to keep."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from core.domain.triple import Verdict
from core.storage.triples import TripleOutline

Pair = tuple[str, str, float]  # earlier id, later id, similarity
STANDING = {Verdict.ACCEPTED: 0, Verdict.PENDING: 1, Verdict.DISPUTED: 1, Verdict.REJECTED: 2}  # what was accepted is kept


@dataclass(frozen=True, slots=True)
class Cluster:
    """Ids of triples that say nearly the same, the one to keep first; `similarity` is that of its closest pair."""

    ids: tuple[str, ...]
    similarity: float

    @property
    def best(self) -> str:
        """Id of the one to keep."""
        return self.ids[0]

    @property
    def others(self) -> tuple[str, ...]:
        """Ids of the rest."""
        return self.ids[1:]


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


def best_first(triples: Iterable[TripleOutline]) -> list[TripleOutline]:
    """What to keep first: accepted, with a negative, least suspicious, edited by a person, oldest."""
    return sorted(triples, key=lambda t: (STANDING[t.verdict], not t.has_negative, round(t.suspicion, 3), not t.edited, t.number))


def open_clusters(pairs: Iterable[Pair], triples: Iterable[TripleOutline]) -> list[Cluster]:
    """Clusters of the triples that are not rejected; one that has a single such member left is settled."""
    by_id = {triple.id: triple for triple in triples if triple.verdict is not Verdict.REJECTED}
    found = joined(pair for pair in pairs if pair[0] in by_id and pair[1] in by_id)
    return [Cluster(tuple(t.id for t in best_first(by_id[i] for i in ids)), similarity) for ids, similarity in found]
