"""The events file survives a kill in the middle of a line, and says when the disk is full."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import DiskFull
from core.jobs.events import EventWriter, read_events


def test_a_torn_last_line_is_skipped_and_numbering_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    EventWriter(path).write("step", loss=1.5)
    with path.open("a") as file:
        file.write('{"seq": 1, "kind": "st')
    assert [e["seq"] for e in read_events(path)[0]] == [0]
    EventWriter(path).write("step", loss=1.25)
    assert [(e["seq"], e["loss"]) for e in read_events(path)[0]] == [(0, 1.5), (1, 1.25)]


def test_reading_goes_on_from_an_offset(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "events.jsonl")
    writer.write("a")
    _, offset = read_events(tmp_path / "events.jsonl")
    writer.write("b")
    assert [e["kind"] for e in read_events(tmp_path / "events.jsonl", offset=offset)[0]] == ["b"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="not run: this system has no /dev/full")
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    writer = EventWriter(tmp_path / "events.jsonl")
    writer.close()
    with Path("/dev/full").open("ab", buffering=0) as writer._file, pytest.raises(DiskFull) as caught:
        writer.write("step")
    assert "space" in caught.value.hint
