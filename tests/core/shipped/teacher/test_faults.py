from __future__ import annotations

import json
from random import Random

import pytest

from core.domain.chat import ChatReply
from core.domain.groups import TaskGroup
from core.errors import BadInput
from core.generation.replies.parsing import read_example
from core.shipped.teacher.faults import MALFORMED, FaultMix, NamedFault, TeacherFault, cut_off, malformed, named_faults

WHOLE = json.dumps({"input": "an “odd” text,\nin two lines", "positive_document": "茶的历史"}, ensure_ascii=False)
ONE_LINE = json.dumps({"input": "茶", "positive_document": "茶的历史"}, ensure_ascii=False)


def test_a_mix_befalls_about_its_shares_and_the_same_requests_each_time():
    mix = FaultMix.read("429:0.05, truncated:0.2")
    drawn = [mix.draw(3, b"%d" % n, 1) for n in range(4000)]
    assert drawn == [mix.draw(3, b"%d" % n, 1) for n in range(4000)]
    assert abs(drawn.count(TeacherFault.RATE_LIMIT) / 4000 - 0.05) < 0.012
    assert abs(drawn.count(TeacherFault.TRUNCATED) / 4000 - 0.2) < 0.022
    assert drawn != [mix.draw(4, b"%d" % n, 1) for n in range(4000)]


def test_a_repeated_request_is_drawn_for_anew():
    mix = FaultMix.read("500:0.5")
    assert len({mix.draw(0, b"same", sending) for sending in range(1, 30)}) == 2
    assert {FaultMix.read("500:1").draw(0, b"same", sending) for sending in range(1, 30)} == {TeacherFault.SERVER_ERROR}
    assert FaultMix.read("").draw(0, b"same", 1) is None


@pytest.mark.parametrize("text", ["flood:0.1", "429", "429:much", "429:-0.1", "429:0.6,500:0.6", "429:nan"])
def test_a_mix_that_cannot_be_is_refused_with_a_hint(text: str):
    with pytest.raises(BadInput) as told:
        FaultMix.read(text)
    assert told.value.hint


def test_faults_are_named_with_the_number_of_sendings_they_befall():
    assert named_faults("slow+429x2", "+") == (NamedFault(TeacherFault.SLOW), NamedFault(TeacherFault.RATE_LIMIT, 2))
    assert [NamedFault(TeacherFault.RATE_LIMIT, 2).befalls(n) for n in (1, 2, 3)] == [True, True, False]
    with pytest.raises(BadInput, match="flood"):
        named_faults("429,flood", ",")


@pytest.mark.parametrize("text", [WHOLE, ONE_LINE])
@pytest.mark.parametrize("fault", [*MALFORMED, TeacherFault.MALFORMED])
def test_a_malformed_reply_is_no_json_and_yet_complete(fault: TeacherFault, text: str):
    broken = malformed(text, {fault}, Random(5))
    with pytest.raises(ValueError, match=r"."):
        json.loads(broken)
    texts, reading = read_example(TaskGroup.SHORT_SHORT, ChatReply(broken, "stop", 1, 1, 0.1, "starter"))
    assert reading.reason == ""
    assert (texts.query, texts.positive) == tuple(json.loads(text).values())


def test_all_blemishes_at_once():
    broken = malformed(WHOLE, set(MALFORMED), Random(5))
    assert broken.startswith("Here is")
    assert "```json\n{" in broken
    assert ",}" in broken
    assert "\\n" not in broken


def test_a_text_is_cut_between_a_third_and_four_fifths():
    lengths = [len(cut_off("x" * 1000, Random(n))) for n in range(200)]
    assert min(lengths) >= 330
    assert max(lengths) <= 800
