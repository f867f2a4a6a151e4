"""How fast triples are written, and what a refused request, a kill and one more row cost: Tercet beside curator and distilabel.

Bar (issue 4): 2,000 examples at 0.2 s latency with 100 in flight (so 500 rows a second at most) come at 400 a second
or more, in under 7 s with the start. All three write the same triples: the prompts that Tercet draws, sent to the recorded teacher in a
process of its own. Tercet does all its work on them (ledger, schema, checks, database); the peers parse JSON. A run is timed from outside:
the start ends when two requests are in flight for the first time, the run when the rows are in hand. One small run of each warms the disk
cache.

The peers are not part of the project's environment: `make bench-peers` gives them one of their own, or name a python that has them with
`--peers`. Without one, their figures are null.
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from bench.peers.contenders import PACKAGES, Contender, Peer, Tercet, peer_versions
from bench.peers.servers import Server, Watch, ceiling, teacher
from core.settings import PROJECT_FOLDER

WARMING_ROWS = 4
REFUSED_ROWS = 150
REFUSED_IN_FLIGHT = 50  # distilabel's own batch; in a later one than the first, a lost batch does not end its run
KILLED_ROWS = 600
KILLED_AFTER = 300  # calls
ADDED_TO_ROWS = 100
LIMIT_SECONDS = 300.0
HANGING_SECONDS = 60.0  # without an end after a restart that has 300 rows to write

Make = Callable[[str], Contender]  # a contender with a memory of that name, empty at first
Figures = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """What is measured and how."""

    rows: int
    in_flight: int
    latency_seconds: float
    makers: Mapping[str, Make]


def main() -> None:
    """Measure, print a table and one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="the last line is JSON either way")
    parser.add_argument("--peers", type=Path, default=PROJECT_FOLDER / ".bench-venv" / "bin" / "python", help="a python that has them")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--in-flight", type=int, default=100)
    parser.add_argument("--latency", type=float, default=0.2, help="seconds")
    parser.add_argument("--speed-only", action="store_true", help="leave out the refused request, the kill and the added row")
    asked = parser.parse_args()
    versions = peer_versions(asked.peers)
    if versions is None:
        print(f"{asked.peers} has no curator and distilabel: only Tercet is measured. To get them: make bench-peers")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        draws = Tercet(folder / "draws")
        prompts = list(dict.fromkeys(draws.prompts(asked.rows + asked.rows // 4 + 2 * KILLED_ROWS)))
        makers: dict[str, Make] = {"tercet": lambda name: Tercet(folder / f"tercet-{name}")}
        makers |= {peer: maker(peer, asked.peers.absolute(), folder, prompts) for peer in PACKAGES if versions}
        field = Field(asked.rows, asked.in_flight, asked.latency, makers)
        figures = speed(field, draws)
        if not asked.speed_only:
            for name, made in makers.items():
                figures[name] |= refusal(made, draws, field) | killing(made, field) | addition(made, field)
    print_table(figures)
    print(json.dumps({**headline(figures), **figures, "versions": versions}))


def maker(peer: str, python: Path, folder: Path, prompts: Sequence[str]) -> Make:
    """Contenders of one peer."""
    return lambda name: Peer(peer, python, folder / f"{peer}-{name}", prompts)


def speed(field: Field, draws: Tercet) -> Figures:
    """Rows a second of each, on one server, one after another, and what the server can serve at all."""
    with teacher(field.latency_seconds) as server:
        served = ceiling(server, draws.bodies(field.rows), field.in_flight)
        found: Figures = {"server_rows_per_second": round(served, 1), "possible_rows_per_second": field.in_flight / field.latency_seconds}
        for name, make in field.makers.items():
            warming = make("warming")
            warming.start(WARMING_ROWS, server, field.in_flight)
            warming.finish(LIMIT_SECONDS)
            found[name] = timed(make("speed"), server, field)
    return found


def timed(contender: Contender, server: Server, field: Field) -> Figures:
    """One run from start to end."""
    with Watch(server) as watch:
        started_at, busy = time.time(), _processor_seconds()
        contender.start(field.rows, server, field.in_flight)
        ending = contender.finish(LIMIT_SECONDS)
    figures: Figures = {"rows_asked": field.rows, "rows_kept": ending.kept, "requests_sent": watch.calls, "trouble": ending.trouble}
    figures["processor_seconds"] = round(_processor_seconds() - busy, 2)
    if ending.trouble or watch.began_at is None:
        return figures
    return figures | {
        "rows_per_second": round(ending.kept / (ending.ended_at - watch.began_at), 1),
        "rows_per_second_with_start_up": round(ending.kept / (ending.ended_at - started_at), 1),
        "start_up_seconds": round(watch.began_at - started_at, 2),
        "seconds_with_start_up": round(ending.ended_at - started_at, 2),
    }


def _processor_seconds() -> float:
    """Of all processes that we started and that are over, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def refusal(make: Make, draws: Tercet, field: Field) -> Figures:
    """One request of 150 gets HTTP 400, however often it is sent."""
    drawn = draws.prompts(REFUSED_ROWS)
    once = {prompt for prompt, times in Counter(drawn).items() if times == 1}
    second_batch = drawn[REFUSED_IN_FLIGHT : 2 * REFUSED_IN_FLIGHT]
    refused = next(prompt for prompt in second_batch if prompt in once)
    with teacher(field.latency_seconds, refused=sha256(refused.encode()).hexdigest()) as server, Watch(server) as watch:
        contender = make("refusal")
        contender.start(REFUSED_ROWS, server, REFUSED_IN_FLIGHT)
        ending = contender.finish(LIMIT_SECONDS)
        return {
            "one_refused_rows_asked": REFUSED_ROWS,
            "one_refused_rows_lost": REFUSED_ROWS - ending.kept,
            "one_refused_requests_sent": watch.calls,
            "one_refused_trouble": ending.trouble,
        }


def killing(make: Make, field: Field) -> Figures:
    """SIGKILL in mid-run, then the same again."""
    with teacher(field.latency_seconds) as server, Watch(server) as watch:
        contender = make("killing")
        contender.start(KILLED_ROWS, server, field.in_flight)
        watch.wait_for(KILLED_AFTER, limit_seconds=LIMIT_SECONDS)
        contender.kill()
        time.sleep(2 * field.latency_seconds)  # what is in flight arrives
        before = watch.calls
        contender.start(KILLED_ROWS, server, field.in_flight)
        ending = contender.finish(HANGING_SECONDS)
        return {
            "killed_rows_asked": KILLED_ROWS,
            "killed_rows_kept": ending.kept,
            "killed_requests_before": before,
            "killed_requests_after": watch.calls - before,
            "killed_requests_sent_twice": watch.repeated,
            "killed_trouble": ending.trouble,
        }


def addition(make: Make, field: Field) -> Figures:
    """A finished run, then the same with one row more."""
    contender = make("addition")
    with teacher(field.latency_seconds) as server, Watch(server) as watch:
        contender.start(ADDED_TO_ROWS, server, field.in_flight)
        first = contender.finish(LIMIT_SECONDS)
        before = watch.calls
        contender.start(ADDED_TO_ROWS + 1, server, field.in_flight)
        ending = contender.finish(LIMIT_SECONDS)
        return {
            "one_added_requests_sent": watch.calls - before,
            "one_added_rows_before": first.kept,
            "one_added_rows_after": ending.kept,
            "one_added_trouble": first.trouble or ending.trouble,
        }


def headline(figures: Figures) -> Figures:
    """Tercet's own figures, and how many times as fast it is."""
    own = figures["tercet"]
    names = ("rows_per_second", "rows_per_second_with_start_up", "start_up_seconds", "seconds_with_start_up")
    found: Figures = {name: own.get(name) for name in names}
    for peer in PACKAGES:
        theirs = figures.setdefault(peer, None) or {}
        for measure, name in (("rows_per_second", f"ratio_vs_{peer}"), ("rows_per_second_with_start_up", f"ratio_with_start_up_vs_{peer}")):
            found[name] = round(own[measure] / theirs[measure], 2) if own.get(measure) and theirs.get(measure) else None
    return found


def print_table(figures: Figures) -> None:
    """Every figure of each."""
    measured = {name: values for name, values in figures.items() if isinstance(values, dict)}
    server = f"{figures['server_rows_per_second']:.0f} a second to a client that only sends and reads"
    print(f"The server answers {server}; {figures['possible_rows_per_second']:.0f} would be the limit of its latency.")
    print(f"{'':34}" + "".join(f"{name:>14}" for name in measured))
    for row in dict.fromkeys(row for values in measured.values() for row in values if not row.endswith("trouble")):
        print(f"{row:34}" + "".join(f"{values.get(row, '-'):>14}" for values in measured.values()))
    for name, values in measured.items():
        for row, text in values.items():
            if row.endswith("trouble") and text:
                print(f"{name}, {row}: {text}")


if __name__ == "__main__":
    main()
