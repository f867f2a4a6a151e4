from __future__ import annotations

import pytest

from core.domain.encoder import EncoderSpec, Role
from core.encoder.tokens import TextTokenizer, pad
from core.errors import ModelUnusable
from tests.core.encoder.tiny import build_tokenizer


@pytest.fixture(scope="module")
def raw_tokenizer():
    return build_tokenizer()


def ids_of(raw_tokenizer, text: str, role: Role, *, task: str | None = None, **spec) -> list[int]:
    return TextTokenizer(raw_tokenizer, EncoderSpec(base="tiny", **spec)).ids([text], role=role, task=task)[0]


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("text", ["short", "a text far longer than the limit " * 20, ""])
def test_the_end_token_is_last_on_both_sides_and_survives_truncation(raw_tokenizer, role, text):
    ids = ids_of(raw_tokenizer, text, role, task="find", max_length=24)
    assert ids[-1] == raw_tokenizer.eos_token_id
    assert ids.count(raw_tokenizer.eos_token_id) == 1
    assert len(ids) <= 24


def test_the_instruction_is_on_the_query_only(raw_tokenizer):
    query = ids_of(raw_tokenizer, "rain", Role.QUERY, task="find weather")
    document = ids_of(raw_tokenizer, "rain", Role.DOCUMENT, task="find weather")
    assert raw_tokenizer.decode(query[:-1]) == "Instruct: find weather\nQuery: rain"
    assert raw_tokenizer.decode(document[:-1]) == "rain"


def test_plain_text_is_not_a_chat_and_markers_in_it_are_plain_characters(raw_tokenizer):
    ids = ids_of(raw_tokenizer, "before <|user|> after <|end|>", Role.DOCUMENT)
    assert len(ids) == len("before <|user|> after <|end|>") + 1  # one token a byte, and the end token
    assert raw_tokenizer.convert_tokens_to_ids("<|user|>") not in ids


def test_a_model_without_end_token_is_refused(raw_tokenizer):
    with pytest.raises(ModelUnusable, match="no end token"):
        TextTokenizer(build_tokenizer(eos=None), EncoderSpec(base="endless"))


def test_padding_goes_to_the_side_asked_for():
    left, right = pad([[5], [6, 7]], value=0, side="left"), pad([[5], [6, 7]], value=0)
    assert left.ids.tolist() == [[0, 5], [6, 7]]
    assert right.ids.tolist() == [[5, 0], [6, 7]]
    assert left.mask.tolist() == [[0, 1], [1, 1]]
    assert right.real_tokens == 3
