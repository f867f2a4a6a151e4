from __future__ import annotations

import threading

import numpy as np
import pytest

from core.domain.encoder import EncoderSpec, Role
from core.errors import BadInput, IndexMismatch, ModelNotFound, NotFound
from core.retrieval.encoder_pool import EncoderPool
from core.retrieval.index import VectorIndex
from core.retrieval.index_facts import IndexFacts
from core.retrieval.shelf import IndexShelf
from tests.core.retrieval.fakes import WIDTH, WordEncoder


def build(shelf, settings, system_spec, corpus_id="version:v1id", corpus_hash=None):
    corpus, documents = shelf.get(corpus_id), shelf.documents(corpus_id)
    vectors = WordEncoder(system_spec).encode([d.content for d in documents], role=Role.DOCUMENT)
    facts = IndexFacts(
        corpus.id, corpus_hash or corpus.content_hash, "raw", system_spec.fingerprint, system_spec.as_dict(), len(documents), WIDTH
    )
    VectorIndex.build([d.id for d in documents], vectors).save(IndexShelf(settings).folder(corpus.id, system_spec), facts)
    return {d.text: d.id for d in documents}


def test_search_ranks_documents_and_tells_asked_ranks_outside_the_top(engine, shelf, settings):
    ids = build(shelf, settings, EncoderSpec())
    ranking = engine.search("version:v1id", "raw", "water at noon", k=2, ask_ranks_of=[ids["a white rose"], "absent"])
    assert [hit.document.text for hit in ranking.hits] == ["water at dawn", "too much water"]
    assert [hit.similarity for hit in ranking.hits] == [pytest.approx(2 / 3), pytest.approx(1 / 3)]
    assert ranking.corpus_size == 5
    assert list(ranking.ranks_of) == [ids["a white rose"]]
    assert ranking.ranks_of[ids["a white rose"]] > 2
    assert sum(ranking.histogram.counts) == 5
    assert ranking.encode_milliseconds > 0


def test_bm25_needs_no_index_job_and_survives_damage(engine, settings, shelf):
    assert engine.search("version:v1id", "bm25", "soap", k=1).hits[0].document.text == "spray with soap"
    folder = IndexShelf(settings).lexical_folder("version:v1id")
    (folder / "ids.json").write_text("[]")
    engine._word_indexes._values.clear()
    assert engine.search("version:v1id", "bm25", "soap", k=1).hits[0].document.text == "spray with soap"


def test_what_is_missing_is_told_with_the_command_that_makes_it(engine, shelf, settings):
    with pytest.raises(NotFound) as caught:
        engine.search("version:v1id", "raw", "water")
    assert "python -m core index --corpus version:v1id --model raw" in caught.value.hint
    build(shelf, settings, EncoderSpec(), corpus_hash="older")
    with pytest.raises(IndexMismatch):
        engine.search("version:v1id", "raw", "water")
    with pytest.raises(BadInput):
        engine.search("version:v1id", "bm25", "  ")


def test_requests_that_wait_together_are_encoded_together():
    gate, opened = threading.Event(), []

    def slow_open(spec):
        gate.wait(5)
        opened.append(WordEncoder(spec))
        return opened[-1]

    pool = EncoderPool(slow_open)
    futures = [pool.encode(EncoderSpec(), [f"query {i}"], Role.QUERY, "t") for i in range(10)]
    other = pool.encode(EncoderSpec(), ["document"], Role.DOCUMENT)
    gate.set()
    vectors = [future.result(5) for future in futures]
    other.result(5)
    assert [count for count, role, _ in opened[0].calls if role is Role.QUERY] == [10]
    alone = WordEncoder(EncoderSpec()).encode(["query 7"], role=Role.QUERY)
    assert np.array_equal(vectors[7], alone)


def test_a_long_request_keeps_its_order_and_lets_a_short_one_pass():
    gate, opened, ended = threading.Event(), [], []

    def slow_open(spec):
        gate.wait(5)
        opened.append(WordEncoder(spec))
        return opened[-1]

    pool = EncoderPool(slow_open)
    texts = [f"word{i}" for i in range(200)]
    long = pool.encode(EncoderSpec(), texts, Role.DOCUMENT)
    short = pool.encode(EncoderSpec(), ["hello"], Role.QUERY)
    long.add_done_callback(lambda _: ended.append("long"))
    short.add_done_callback(lambda _: ended.append("short"))
    gate.set()
    assert np.array_equal(long.result(5), WordEncoder(EncoderSpec()).encode(texts, role=Role.DOCUMENT))
    short.result(5)
    assert ended == ["short", "long"]
    assert max(count for count, _, _ in opened[0].calls) <= 64


def test_the_least_recently_used_model_leaves_and_a_broken_one_is_tried_again():
    opened = []

    def open_model(spec):
        opened.append(spec.base)
        if opened.count("b/b") == 1 and spec.base == "b/b":
            raise ModelNotFound("not yet", hint="wait")
        return WordEncoder(spec)

    pool = EncoderPool(open_model, keep=1)
    with pytest.raises(ModelNotFound):
        pool.encode(EncoderSpec("b/b"), ["x"], Role.QUERY).result(5)
    assert pool.encode(EncoderSpec("b/b"), ["x"], Role.QUERY).result(5).shape == (1, WIDTH)
    pool.encode(EncoderSpec("a/a"), ["x"], Role.QUERY).result(5)
    assert [m["base"] for m in pool.loaded()] == ["a/a"]
    assert opened == ["b/b", "b/b", "a/a"]
