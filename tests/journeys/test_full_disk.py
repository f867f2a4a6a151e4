"""A workspace on a disk that fills up: each command says so with a hint, exits with 1, and loses nothing that was there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from core.settings import PROJECT_FOLDER

# In a mount namespace of its own: a 3 MB tmpfs as workspace, filled up after a first import.
SCRIPT = """
set -e
mount -t tmpfs -o size=3m none "$DISK"
"$PYTHON" -m core import "$FIRST" --workspace "$DISK/w" --accept --json
dd if=/dev/zero of="$DISK/filler" bs=4k 2>/dev/null || true
set +e
"$PYTHON" -m core import "$SECOND" --workspace "$DISK/w" --json > "$OUT/import.out" 2> "$OUT/import.err"; echo $? > "$OUT/import.rc"
"$PYTHON" -m core freeze --name v1 --workspace "$DISK/w" --json > "$OUT/freeze.out" 2> "$OUT/freeze.err"; echo $? > "$OUT/freeze.rc"
rm "$DISK/filler"
"$PYTHON" -m core export --out "$OUT/kept.jsonl" --workspace "$DISK/w" --json
"""


def namespaces_work() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode == 0


def rows(path: Path, numbers: range, *, words: int) -> Path:
    text = " ".join(["filling"] * words)
    lines = [
        {
            "group": "short-long",
            "task": "Given a number, retrieve its page.",
            "query": f"number {n}",
            "positive": f"{n} is {text}",
            "negative": f"{n}, not {text}",
        }
        for n in numbers
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.mark.skipif(not namespaces_work(), reason="not run: this system allows no mount namespace")
def test_a_full_disk_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    disk, out = tmp_path / "disk", tmp_path / "out"
    disk.mkdir()
    out.mkdir()
    names = {
        "PYTHON": sys.executable,
        "DISK": disk,
        "OUT": out,
        "FIRST": rows(tmp_path / "first.jsonl", range(5), words=20),
        "SECOND": rows(tmp_path / "second.jsonl", range(100, 700), words=400),
    }
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", SCRIPT],
        cwd=PROJECT_FOLDER,
        env={**os.environ, **{k: str(v) for k, v in names.items()}},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for command in ("import", "freeze"):
        assert (out / f"{command}.rc").read_text().strip() == "1"
        told = (out / f"{command}.err").read_text()
        assert "no space is left" in told
        assert "Free some space" in told
        assert "Traceback" not in told
    kept = [json.loads(line)["query"] for line in (out / "kept.jsonl").read_text().splitlines()]
    assert kept == [f"number {n}" for n in range(5)]
