from __future__ import annotations

import numpy as np
import pytest

from core.domain.encoder import Role
from core.encoder.vector_cache import CHUNK_TEXTS, VectorCache


class Counting:
    def __init__(self):
        self.texts = 0

    def __call__(self, texts):
        self.texts += len(texts)
        return np.array([[len(t), hash(t) % 97] for t in texts], dtype=np.float32)


TEXTS = [f"text {i}" for i in range(2 * CHUNK_TEXTS + 10)]


def test_texts_are_encoded_once(tmp_path):
    count = Counting()
    first = VectorCache(tmp_path, "finger", role=Role.DOCUMENT).encode(TEXTS, count)
    cache = VectorCache(tmp_path, "finger", role=Role.DOCUMENT)
    assert np.array_equal(cache.encode(TEXTS, count), first)
    assert count.texts == len(TEXTS) == cache.report.reused


@pytest.mark.parametrize(
    "other",
    [
        {"fingerprint": "other", "role": Role.QUERY, "task": "t"},
        {"fingerprint": "finger", "role": Role.DOCUMENT},
        {"fingerprint": "finger", "role": Role.QUERY, "task": "u"},
    ],
)
def test_another_encoder_role_or_task_has_vectors_of_its_own(tmp_path, other):
    count = Counting()
    VectorCache(tmp_path, "finger", role=Role.QUERY, task="t").encode(["a"], count)
    VectorCache(tmp_path, **other).encode(["a"], count)
    assert count.texts == 2


def test_a_stopped_job_goes_on_after_its_last_whole_chunk(tmp_path):
    count, seen = Counting(), []
    cache = VectorCache(tmp_path, "finger", role=Role.DOCUMENT)
    assert cache.encode(TEXTS, count, on_progress=lambda d, t: seen.append((d, t)), stop_requested=lambda: len(seen) == 1) is None
    assert seen == [(CHUNK_TEXTS, len(TEXTS))]
    vectors = cache.encode(TEXTS, count)
    assert count.texts == len(TEXTS)
    assert vectors.shape == (len(TEXTS), 2)


def test_a_torn_chunk_is_encoded_again(tmp_path):
    count = Counting()
    cache = VectorCache(tmp_path, "finger", role=Role.DOCUMENT)
    first = cache.encode(["a", "b"], count)
    (file,) = (tmp_path / "finger").iterdir()
    file.write_bytes(file.read_bytes()[:-3])
    assert np.array_equal(cache.encode(["a", "b"], count), first)
    assert count.texts == 4
