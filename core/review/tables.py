"""Rows of CSV and TSV files by the line they start at.

CSV is read by RFC 4180: a quote at the start of a cell opens it, and it may hold commas, line breaks and doubled quotes. TSV is read as
its media type says (text/tab-separated-values): a line is a row, a quote is a character, so that a lone one swallows no rows. Spreadsheets
and pandas quote in TSV nevertheless: a cell that stands in quotes and holds doubled ones is taken out of them, and a line with the wrong
number of cells is tried as quoted.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from itertools import accumulate

from core.errors import BadInput
from core.review.forms import Row
from core.review.rows import UnusableRowError

TAB = "\t"
QUOTED = re.compile(r'"((?:[^"]|"")*)"')
Cells = tuple[int, list[str] | UnusableRowError]  # line, from 1, and what it holds or why that is unknown


def table_rows(data: bytes, *, tabs: bool) -> Iterator[tuple[int, Row | UnusableRowError]]:
    """Rows under the names of the first line, in small letters; an empty cell is an absent value.

    Raises:
        BadInput: not UTF-8.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadInput(f"The file is not UTF-8: line {line} cannot be read.", hint="Save it as UTF-8 and bring it again.") from error
    csv.field_size_limit(max(csv.field_size_limit(), len(text)))  # the module's own limit would end the file; rows.py has ours
    lines = list(io.StringIO(text, newline=""))
    header: list[str] = []
    for line, cells in _lines_of_tabs(lines) if tabs else _quoted(lines):
        if isinstance(cells, UnusableRowError):
            yield line, cells
        elif not any(cell.strip() for cell in cells):
            continue
        elif not header:
            header = [cell.strip().lower() for cell in cells]
        elif len(cells) == len(header):
            yield line, {name: cell if cell.strip() else None for name, cell in zip(header, cells, strict=True)}
        else:
            yield line, UnusableRowError(f"has {len(cells)} cells where the header has {len(header)}")


def _quoted(lines: list[str]) -> Iterator[Cells]:
    """After a row with a broken quote, reading goes on where the quotes are balanced again: no rest of a text is taken for a row."""
    at = 0
    while at < len(lines):
        start, reader = at, csv.reader(_from(lines, at), strict=True)
        try:
            for cells in reader:
                yield start + 1, cells
                start = at + reader.line_num
            return
        except csv.Error as error:
            after, balanced = at + reader.line_num, accumulate(line.count('"') for line in _from(lines, start))
            at = next((i for i, quotes in enumerate(balanced, start + 1) if i >= after and quotes % 2 == 0), len(lines))
            left_out = "" if at == start + 1 else f"; lines {start + 1} to {at} were not read"
            yield start + 1, UnusableRowError(f"is not a row: {error}{left_out}")


def _lines_of_tabs(lines: list[str]) -> Iterator[Cells]:
    at = width = 0
    while at < len(lines):
        cells, end = lines[at].rstrip("\r\n").split(TAB), at + 1
        if width and len(cells) != width and any(cell.startswith('"') for cell in cells):
            reader = csv.reader(_from(lines, at), delimiter=TAB, strict=True)
            try:
                found = next(reader)
            except csv.Error:
                found = []
            if len(found) == width:
                cells, end = found, at + reader.line_num
        else:
            cells = [_out_of_quotes(cell) for cell in cells]
        width = width or (len(cells) if any(cells) else 0)
        yield at + 1, cells
        at = end


def _out_of_quotes(cell: str) -> str:
    inner = QUOTED.fullmatch(cell)
    return inner[1].replace('""', '"') if inner and '""' in inner[1] else cell


def _from(lines: list[str], at: int) -> Iterator[str]:
    return (lines[i] for i in range(at, len(lines)))  # a slice would be copied at every broken row
