from __future__ import annotations

import io
import zipfile
from collections import Counter

import pytest

from core.errors import BadInput
from core.storage.archives import Archive

METHODS = {"stored": zipfile.ZIP_STORED, "deflated": zipfile.ZIP_DEFLATED, "bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA}


def zipped(method: int, name: str = "rows.jsonl") -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        archive.writestr(name, '{"query": "why", "positive": "because"}\n' * 3)
    return data.getvalue()


def unpack(data: bytes) -> dict[str, bytes]:
    archive = Archive(data)
    return archive.read(archive.names)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_zip_with_any_one_byte_wrong_is_read_or_refused_with_a_hint(method: int):
    whole = zipped(method, "ä.jsonl")
    told: Counter[str] = Counter()
    for at in range(len(whole)):
        for other in {0, 255, whole[at] ^ 1, whole[at] ^ 128} - {whole[at]}:
            try:
                unpack(whole[:at] + bytes([other]) + whole[at + 1 :])
            except BadInput as refused:
                told[refused.hint] += 1
    assert told["Pack it again, without a password."] > 100
    assert set(told) <= {"Pack it again, without a password.", "Cut it into parts and bring them one by one."}  # a size that is wrong


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS)
def test_a_zip_that_ends_too_early_is_refused(method: int):
    whole = zipped(method)
    for length in range(len(whole)):
        with pytest.raises(BadInput):
            unpack(whole[:length])


def test_a_whole_zip_is_read():
    assert unpack(zipped(zipfile.ZIP_LZMA)) == {"rows.jsonl": b'{"query": "why", "positive": "because"}\n' * 3}
