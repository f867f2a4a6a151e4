from __future__ import annotations

import math

import pytest

from core.domain.ranking import Document
from core.errors import WorkspaceDamaged
from core.retrieval.engine import best
from core.retrieval.lexical import LexicalIndex
from core.retrieval.words import search_words


def documents(*texts: str) -> list[Document]:
    return [Document(f"d{i}", text) for i, text in enumerate(texts)]


def found(index: LexicalIndex, query: str, k: int) -> list[tuple[str, float]]:
    return best(index.ids, index.scores(query), k)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The Parser reads UTF-8", ["parser", "reads", "utf", "8"]),
        ("os.path.join and read_csv", ["os", "path", "join", "read", "csv"]),
        ("检索模型。是", ["检索", "索模", "模型", "是"]),
        ("カタカナの検索", ["カタ", "タカ", "カナ", "ナの", "の検", "検索"]),
        ("BM25用の検索", ["bm25", "用の", "の検", "検索"]),
        ("กข", ["กข"]),
        ("कैसे खोजें", ["कैसे", "खोजें"]),  # vowel signs belong to their words
        ("ＡＢＣ Straße", ["abc", "strasse"]),
        ("…!?", []),
    ],
)
def test_words_of_every_script(text, words):
    assert search_words(text) == words


def test_score_is_lucenes_bm25():
    index = LexicalIndex.build(documents("apple pear", "plum pear", "plum fig"))
    # One match, term frequency 1, document of average length: idf * 1 / (1 + 1.5) with idf = ln(1 + (3 - 1 + .5) / (1 + .5)).
    assert found(index, "apple", 1) == [("d0", pytest.approx(math.log(1 + 2.5 / 1.5) / 2.5, rel=1e-5))]


def test_chinese_words_are_found_without_spaces():
    index = LexicalIndex.build(documents("怎样训练检索模型", "今天天气很好", "模型的检索效果"))
    assert [i for i, _ in found(index, "检索模型", 2)] == ["d0", "d2"]
    assert index.ranks_in(index.scores("天气"), ["d1"]) == {"d1": 1}


def test_documents_without_a_shared_word_tie_and_break_by_id():
    index = LexicalIndex.build([Document("b", "fig"), Document("a", "plum"), Document("c", "apple")])
    assert [i for i, _ in found(index, "apple", 3)] == ["c", "a", "b"]
    assert index.ranks_in(index.scores("apple"), ["a", "b", "c"]) == {"c": 1, "a": 2, "b": 3}
    assert found(index, "unknown words", 2) == [("a", 0.0), ("b", 0.0)]


def test_round_trip_without_pickle(tmp_path):
    index = LexicalIndex.build(documents("apple pear", "plum pear", "检索模型"))
    index.save(tmp_path / "bm25", corpus_hash="x")
    again = LexicalIndex.load(tmp_path / "bm25")
    assert found(again, "pear 检索", 3) == found(index, "pear 检索", 3)
    assert not [p for p in (tmp_path / "bm25").iterdir() if p.suffix not in (".npy", ".json")]


def test_damage_is_noticed(tmp_path):
    LexicalIndex.build(documents("apple pear")).save(tmp_path / "bm25")
    (tmp_path / "bm25" / "ids.json").write_text('["other"]')
    with pytest.raises(WorkspaceDamaged):
        LexicalIndex.load(tmp_path / "bm25")


def test_a_corpus_without_any_word_can_be_searched(tmp_path):
    index = LexicalIndex.build(documents("…", "!"))
    index.save(tmp_path / "bm25")
    assert found(LexicalIndex.load(tmp_path / "bm25"), "x", 2) == [("d0", 0.0), ("d1", 0.0)]
