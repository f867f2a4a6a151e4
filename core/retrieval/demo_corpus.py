"""The demo corpus: the Python documentation that every interpreter carries, cut into passages.

Language reference from `pydoc_data.topics`, the rest from docstrings of the modules listed here. The list is explicit: importing some
modules does things (antigravity opens a browser, this prints, turtle and idlelib want a screen).
"""

from __future__ import annotations

import importlib
import inspect
import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from types import ModuleType
from typing import Any

from core.domain.ranking import Document, document_of
from core.errors import StorageError
from core.retrieval.passages import FEWEST_WORDS, MOST_WORDS, TARGET_WORDS, count_words, cut_into_passages
from core.settings import PROJECT_FOLDER

MODULES = (
    "abc", "argparse", "array", "asyncio", "base64", "bisect", "builtins", "calendar", "cmath", "collections", "collections.abc",
    "concurrent.futures", "contextlib", "contextvars", "copy", "csv", "dataclasses", "datetime", "email", "email.utils", "enum",
    "fnmatch", "fractions", "functools", "gc", "getpass", "gettext", "glob", "graphlib", "gzip", "hashlib", "heapq", "hmac", "html",
    "html.parser", "itertools", "json", "logging", "math", "mimetypes", "multiprocessing", "numbers", "operator", "os", "os.path",
    "pathlib", "pickle", "pprint", "queue", "random", "re", "reprlib", "secrets", "shelve", "shlex", "shutil", "signal", "socket",
    "sqlite3", "statistics", "string", "struct", "subprocess", "sys", "sysconfig", "tempfile", "textwrap", "threading", "time",
    "timeit", "tomllib", "tracemalloc", "types", "typing", "unicodedata", "urllib.error", "urllib.parse", "urllib.request",
    "warnings", "weakref", "zipfile", "zlib", "zoneinfo",
)  # fmt: skip
SOURCE = "Python {version} documentation inside the interpreter: language reference and docstrings of the standard library"

MOST_OF_A_DOCSTRING = 2  # passages

_UNDERLINE = re.compile(r"^(\*{3,}|={3,}|-{3,}|~{3,})$", re.MULTILINE)


def demo_source() -> str:
    """Where the documents come from, in words."""
    return SOURCE.format(version=platform.python_version())


def gather_demo_corpus() -> list[Document]:
    """All passages, in a fixed order, no text twice. The same interpreter always gives the same list (about a second).

    Gathered in a process of its own: what this one imported or replaced in the standard library must not show, and need not stay in memory.
    """
    command = [sys.executable, "-m", "core.retrieval.demo_corpus"]
    try:
        done = subprocess.run(command, cwd=PROJECT_FOLDER, capture_output=True, check=True, stdin=subprocess.DEVNULL)  # noqa: S603 - our own module
        return [Document(**values) for values in json.loads(done.stdout)]
    except (OSError, subprocess.CalledProcessError, ValueError) as error:
        raise StorageError("The demo corpus cannot be gathered.", hint=f"Run it to see why: {' '.join(command)}") from error


def gather_here() -> list[Document]:
    """The same, from the standard library as this process sees it."""
    seen: set[str] = set()
    documents = []
    for title, text in (*_language_reference(), *_docstrings()):
        document = document_of(text, title=title)
        fingerprint = " ".join(text.split()).casefold()
        if fingerprint not in seen:
            seen.add(fingerprint)
            documents.append(document)
    return documents


def _language_reference() -> Iterator[tuple[str, str]]:
    topics: dict[str, str] = importlib.import_module("pydoc_data.topics").topics
    for name in sorted(topics):
        heading, _, body = topics[name].strip().partition("\n")
        body = _UNDERLINE.sub("", body)
        for passage in cut_into_passages(body):
            if count_words(passage) >= FEWEST_WORDS:
                yield f"Language reference: {heading.strip()}", passage


def _docstrings() -> Iterator[tuple[str, str]]:
    for name in MODULES:
        try:
            module = importlib.import_module(name)
        except ImportError:  # a platform without it (ssl, mmap, …)
            continue
        for passage in _long_enough(_docstring(module)):
            yield f"Module {name}", passage
        short: list[str] = []
        for title, text in _members(module, name):
            if count_words(text) >= FEWEST_WORDS:
                for passage in _long_enough(text):
                    yield title, passage
            else:
                short.append(f"{title}: {text}")
        for passage in _joined(short):
            yield f"Module {name}: in short", passage


def _long_enough(text: str) -> list[str]:
    """The first passages: what comes later in a long docstring is mostly examples and tables of constants."""
    return [p for p in cut_into_passages(text) if count_words(p) >= FEWEST_WORDS][:MOST_OF_A_DOCSTRING]


def _joined(entries: list[str]) -> Iterator[str]:
    """Entries too short to stand alone, several to a passage."""
    current: list[str] = []
    size = 0
    for entry in entries:
        words = count_words(entry)
        if current and size + words > MOST_WORDS:
            yield "\n".join(current)
            current, size = [], 0
        current.append(entry)
        size += words
        if size >= TARGET_WORDS:
            yield "\n".join(current)
            current, size = [], 0
    if size >= FEWEST_WORDS:
        yield "\n".join(current)


def _members(module: ModuleType, name: str) -> Iterator[tuple[str, str]]:
    """(title, docstring) of public functions and classes the module itself defines, and of the methods of those classes."""
    for attribute, value in sorted(vars(module).items()):
        if attribute.startswith("_") or attribute.endswith("hook"):  # programs put their own hooks into sys
            continue
        if not (inspect.isroutine(value) or inspect.isclass(value)) or not _belongs(value, name):
            continue
        text = _docstring(value)
        title = f"{name}.{attribute}" if name != "builtins" else attribute
        if text:
            yield title, text
        if inspect.isclass(value):
            yield from _methods(value, title)


def _methods(owner: type, title: str) -> Iterator[tuple[str, str]]:
    for attribute, value in sorted(vars(owner).items()):
        member = value.__func__ if isinstance(value, (classmethod, staticmethod)) else value
        if attribute.startswith("_") or not (inspect.isroutine(member) or isinstance(member, property)):
            continue
        if text := _docstring(member):
            yield f"{title}.{attribute}", text


def _belongs(value: Any, name: str) -> bool:
    home = getattr(value, "__module__", None) or name
    root = name.partition(".")[0]
    built_in = root in {"builtins", "os"} and home in {"builtins", "posix", "posixpath", "genericpath"}
    return built_in or home.lstrip("_").partition(".")[0] == root


def _docstring(value: Any) -> str:
    """Own docstring, cleaned; "" where there is none or it holds an address, which would differ in every process."""
    text = getattr(value, "__doc__", None)
    if not isinstance(text, str) or " at 0x" in text:
        return ""
    return inspect.cleandoc(text)


if __name__ == "__main__":
    sys.stdout.write(json.dumps([asdict(document) for document in gather_here()]))
