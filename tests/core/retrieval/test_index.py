from __future__ import annotations

import numpy as np
import pytest

from core.errors import IndexMismatch, ModelUnusable, WorkspaceDamaged
from core.retrieval.engine import best
from core.retrieval.index import VectorIndex
from core.retrieval.index_facts import IndexFacts, read_facts

AXES = np.eye(4, dtype=np.float32)


def found(index: VectorIndex, query: np.ndarray, k: int) -> list[tuple[str, float]]:
    return best(index.ids, index.similarities(query), k)


def facts(documents=4, dimensions=4):
    return IndexFacts("demo", "c0ffee", "raw", "finger", {"base": "x"}, documents, dimensions, job_id="index-1")


def test_round_trip_gives_the_same_answers(tmp_path):
    index = VectorIndex.build(["a", "b", "c", "d"], AXES)
    index.save(tmp_path / "i", facts())
    again = VectorIndex.load(tmp_path / "i", fingerprint="finger")
    query = np.array([0.6, 0.8, 0, 0], dtype=np.float32)
    assert found(again, query, 2) == found(index, query, 2) == [("b", pytest.approx(0.8)), ("a", pytest.approx(0.6))]
    assert again.dimensions == 4
    assert read_facts(tmp_path / "i") == facts()


def test_ties_break_by_id_even_across_the_cut():
    ids = [f"d{i:03}" for i in reversed(range(200))]  # stored in the opposite order of their ids
    index = VectorIndex.build(ids, np.tile(AXES[0], (200, 1)))
    assert [i for i, _ in found(index, AXES[0], 3)] == ["d000", "d001", "d002"]
    assert index.ranks_in(index.similarities(AXES[0]), ["d000", "d199", "absent"]) == {"d000": 1, "d199": 200}


def test_ranks_agree_with_the_search():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(500, 8)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    index = VectorIndex.build([str(i) for i in range(500)], vectors)
    by_hand = np.argsort(-(vectors @ vectors[7]), kind="stable")
    ordered = [i for i, _ in found(index, vectors[7], 500)]
    assert ordered[:20] == [str(i) for i in by_hand[:20]]
    ranks = index.ranks_in(index.similarities(vectors[7]), ordered)
    assert ranks == {identifier: rank for rank, identifier in enumerate(ordered, start=1)}


def test_a_flipped_byte_is_noticed(tmp_path):
    VectorIndex.build(["a", "b", "c", "d"], AXES).save(tmp_path / "i", facts())
    file = tmp_path / "i" / "vectors.faiss"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(WorkspaceDamaged, match="checksum") as caught:
        VectorIndex.load(tmp_path / "i")
    assert "core index --corpus demo --model raw" in caught.value.hint


def test_a_missing_file_and_a_missing_index_are_told(tmp_path):
    with pytest.raises(WorkspaceDamaged, match="no index"):
        VectorIndex.load(tmp_path / "nothing")
    VectorIndex.build(["a", "b", "c", "d"], AXES).save(tmp_path / "i", facts())
    (tmp_path / "i" / "ids.json").unlink()
    with pytest.raises(WorkspaceDamaged, match="missing"):
        VectorIndex.load(tmp_path / "i")


def test_another_encoder_is_refused_with_the_command_to_rebuild(tmp_path):
    VectorIndex.build(["a", "b", "c", "d"], AXES).save(tmp_path / "i", facts())
    with pytest.raises(IndexMismatch) as caught:
        VectorIndex.load(tmp_path / "i", fingerprint="other")
    assert "python -m core index --corpus demo --model raw" in caught.value.hint


def test_saving_again_replaces_the_old_index_and_leaves_nothing_behind(tmp_path):
    VectorIndex.build(["a", "b", "c", "d"], AXES).save(tmp_path / "i", facts())
    VectorIndex.build(["e"], AXES[:1]).save(tmp_path / "i", facts(documents=1))
    assert VectorIndex.load(tmp_path / "i").ids == ("e",)
    assert [p.name for p in tmp_path.iterdir()] == ["i"]


def test_vectors_that_are_no_numbers_are_refused():
    with pytest.raises(ModelUnusable):
        VectorIndex.build(["a"], np.array([[np.nan, 0]], dtype=np.float32))
