from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from core.domain.checks import DEFAULT_THRESHOLDS, Thresholds
from core.domain.suspicion import fault_probability
from core.generation.checks.side_process import SideChecks
from core.generation.checks.triple_checks import check_triple
from tests.factories import make_triple

FRENCH = "Les feuilles jaunissent souvent quand la plante reçoit trop d'eau et que ses racines manquent d'air pendant longtemps."
TRIPLES = [make_triple(), make_triple(positive=FRENCH)]


def test_another_process_finds_the_same_flags_by_the_thresholds_of_the_moment():
    strict = Thresholds(near_identical=0.0)
    asked = iter([DEFAULT_THRESHOLDS, strict])
    with SideChecks(lambda: next(asked)) as checks:
        for thresholds in (DEFAULT_THRESHOLDS, strict):
            found = checks.start(TRIPLES).result()
            assert [one.flags for one in found] == [check_triple(triple, thresholds) for triple in TRIPLES]
            assert [one.fault_probability for one in found] == [fault_probability(t, check_triple(t, thresholds)) for t in TRIPLES]


def test_where_the_process_is_killed_the_checks_are_done_here():
    with SideChecks(lambda: DEFAULT_THRESHOLDS) as checks:
        checks.start(TRIPLES).result()
        for child in psutil.Process().children():
            if "spawn_main" in " ".join(child.cmdline()):
                child.kill()
                child.wait()
        for _ in range(2):  # before and after the pool has noticed
            assert [one.flags for one in checks.start(TRIPLES).result()] == [check_triple(triple) for triple in TRIPLES]


def test_it_ends_with_a_parent_that_was_killed():
    parent = """
from core.domain.checks import DEFAULT_THRESHOLDS
from core.generation.checks.side_process import ANY_TRIPLE, SideChecks
if __name__ == "__main__":
    with SideChecks(lambda: DEFAULT_THRESHOLDS) as checks:
        checks.start([ANY_TRIPLE]).result()
        print("up", flush=True)
        input()
"""
    process = subprocess.Popen([sys.executable, "-c", parent], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    children = psutil.Process(process.pid).children(recursive=True)
    assert children
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert psutil.wait_procs(children, timeout=20)[1] == []


@pytest.fixture(autouse=True)
def _no_orphans():
    before = set(psutil.Process().children())
    yield
    left = [child for child in psutil.Process().children() if child not in before and "spawn_main" in " ".join(child.cmdline())]
    assert left == []
