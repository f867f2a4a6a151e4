"""`teacher`: a language model endpoint without a model or a key, for classrooms, tests and measurements."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from core.cli.output import JsonOption, failures_told, people
from core.settings import PROJECT_FOLDER

DEFAULT_PORT = 8790


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(teacher)


def teacher(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = DEFAULT_PORT,
    latency: Annotated[float, typer.Option(min=0, help="Seconds every reply takes.")] = 0.0,
    faults: Annotated[str, typer.Option(help="Shares of replies that go wrong: 429:0.05,500:0.02,truncated:0.1")] = "",
    seed: Annotated[int, typer.Option(help="Decides which requests the faults befall.")] = 0,
    slow: Annotated[float, typer.Option(min=0, help="Seconds the fault `slow` adds.")] = 5.0,
    retry_after: Annotated[float, typer.Option(min=0, help="Seconds the fault `429` asks to wait.")] = 1.0,
    requests_a_minute: Annotated[int | None, typer.Option(min=1, help="Rate limit of requests; none where absent.")] = None,
    tokens_a_minute: Annotated[int | None, typer.Option(min=1, help="Rate limit of tokens; none where absent.")] = None,
    batch_seconds: Annotated[float, typer.Option(min=0, help="Seconds a batch takes.")] = 5.0,
    model: Annotated[list[str] | None, typer.Option(help="Name it answers to; repeatable. A known one has a price.")] = None,
    distinct: Annotated[bool, typer.Option("--distinct", help="Mark every query, so that no two replies are equal.")] = False,
    data: Annotated[Path, typer.Option(help="Folder with the starter set.")] = PROJECT_FOLDER / "data" / "starter",
    as_json: JsonOption = False,
) -> None:
    """Serve the starter set's replies over the OpenAI protocol on this machine, until Ctrl-C. It needs no key and no workspace.

    A request can order a fault itself: model `starter+429`, or the header `x-teacher-fault: truncated`. With --json, the
    line is printed once clients may connect.
    """
    with failures_told():
        from core.shipped.records import read_starter
        from core.shipped.teacher.faults import FaultMix
        from core.shipped.teacher.recorded import MODEL, TeacherOptions
        from core.shipped.teacher.server import serve_teacher

        options = TeacherOptions(
            models=tuple(model or [MODEL]),
            latency_seconds=latency,
            slow_seconds=slow,
            retry_after_seconds=retry_after,
            faults=FaultMix.read(faults),
            seed=seed,
            distinct=distinct,
            requests_a_minute=requests_a_minute,
            tokens_a_minute=tokens_a_minute,
            batch_seconds=batch_seconds,
        )
        records, findings = read_starter(data)
        for finding in findings:
            people.print(f"Left out {finding.record}: {finding.message}", markup=False, highlight=False)

        def tell(port: int) -> None:
            url = f"http://127.0.0.1:{port}/v1"
            line = f"Teaching at {url}, model {options.models[0]}, {len(records)} examples. Ctrl-C ends it."
            people.print(line, markup=False, highlight=False, soft_wrap=True)
            if as_json:
                told = {"base_url": url, "port": port, "models": options.models, "examples": len(records)}
                sys.stdout.write(json.dumps(told) + "\n")
                sys.stdout.flush()

        serve_teacher(records, options, port=port, on_start=tell)
