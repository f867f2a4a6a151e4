"""What a peer's python has, and the environment that keeps it off the network."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

PACKAGES = ("sentence-transformers", "torch", "transformers", "peft", "datasets")
OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "TOKENIZERS_PARALLELISM": "true"}


def versions_of(python: Path) -> dict[str, str] | None:
    """Versions of sentence-transformers and of what decides its speed; None, with a word why, where that python lacks one."""
    code = f"import json; from importlib.metadata import version; print(json.dumps({{n: version(n) for n in {PACKAGES}}}))"
    try:
        told = subprocess.run([python, "-c", code], capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        print(f"{python} has not all of {', '.join(PACKAGES)}: only Tercet is measured.")
        return None
    versions: dict[str, str] = json.loads(told)
    return versions
