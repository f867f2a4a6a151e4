"""How long until the app answers, and until its first page is there, on a workspace that was open before.

Claim (README): a second start is ready in under 5 s. Each round starts a fresh server process; imports of Python files are warm in the page
cache, as on any second start.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from streamlit.testing.v1 import AppTest

from core.settings import PROJECT_FOLDER
from tests.journeys.running import start_app


def main() -> None:
    """Start the app a few times and print how long each took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="the last line is JSON either way")
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        workspace, log = Path(folder) / "workspace", Path(folder) / "log.txt"
        start_app(workspace, log).kill()  # the first start creates the workspace
        seconds = []
        for number in range(rounds):
            began = time.perf_counter()
            app = start_app(workspace, log)
            seconds.append(time.perf_counter() - began)
            app.kill()
            print(f"start {number + 1}: {seconds[-1]:.2f} s")
    page = AppTest.from_file(str(PROJECT_FOLDER / "pages/shell.py"), default_timeout=60)
    page.run()
    began = time.perf_counter()
    page.run()
    print(
        json.dumps(
            {
                "second_start_median_seconds": round(statistics.median(seconds), 2),
                "second_start_max_seconds": round(max(seconds), 2),
                "home_rerun_milliseconds": round(1000 * (time.perf_counter() - began), 1),
                "rounds": rounds,
            }
        )
    )


if __name__ == "__main__":
    main()
