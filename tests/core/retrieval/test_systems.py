from __future__ import annotations

import pytest

from core.domain.encoder import EncoderSpec, Pooling
from core.errors import NotFound


def test_names_hold_finished_and_stopped_runs_one_resumed_that_waits_in_line_but_no_young_ones(catalogue):
    assert [name for name, _ in catalogue.names()] == ["raw", "run:train-done", "run:train-stopped", "run:train-queued", "baseline"]
    assert catalogue.names(lexical=True)[-1][0] == "bm25"
    labels = dict(catalogue.names())
    assert len(set(labels.values())) == len(labels)
    assert "stopped early" in labels["run:train-stopped"]


def test_specs(catalogue, tuned, tmp_path):
    assert catalogue.spec("raw") == EncoderSpec()
    assert catalogue.spec("baseline").pooling is Pooling.MEAN
    assert catalogue.spec("run:train-done") == tuned
    assert catalogue.spec("owner/model").base == "owner/model"
    assert catalogue.spec(str(tmp_path)).base == str(tmp_path)


@pytest.mark.parametrize("name", ["run:train-young", "run:nothing", "bm25", "rwa"])
def test_names_without_an_encoder_are_refused_with_a_hint(catalogue, name):
    with pytest.raises(NotFound) as caught:
        catalogue.spec(name)
    assert caught.value.hint
