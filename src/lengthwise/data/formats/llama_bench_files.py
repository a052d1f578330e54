"""What llama-bench writes (JSON, JSON lines, CSV, SQL, markdown), as plain records."""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from collections.abc import Iterator
from typing import Any

from lengthwise.data.formats.base import Document
from lengthwise.data.formats.fields import damaged
from lengthwise.data.formats.llama_bench_markdown import is_markdown, records_of_markdown

MARKS = ("n_prompt", "n_gen", "avg_ns")

_TABLE = r"[\"'`]?(?:llama_bench|test)[\"'`]?"  # test until 2025
_CREATE = re.compile(rf"CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?{_TABLE}\s*\(", re.I)
_INSERT = re.compile(rf"INSERT\s+INTO\s+{_TABLE}\s*(?:\(([\w\s,\"`]+)\))?\s*VALUES\s*\(", re.I)
_INTO = re.compile(rf"INSERT\s+INTO\s+{_TABLE}", re.I)
_BETWEEN = re.compile(r"(BEGIN(\s+TRANSACTION)?|COMMIT|PRAGMA\s+foreign_keys\s*=\s*\w+)\s*;?", re.I)
_NAME = re.compile(r"[\"'`]?([A-Za-z_]\w*)")
_ALLOWED = {sqlite3.SQLITE_INSERT, sqlite3.SQLITE_TRANSACTION}


def is_llama_bench(document: Document) -> bool:
    """Whether the content is one of these files."""
    if document.rows:
        sample = _flat(document.rows)
        return bool(sample) and isinstance(sample[0], dict) and set(MARKS) <= set(sample[0])
    text = document.text.lstrip("\ufeff \t\r\n")
    if text.startswith("["):
        return all(f'"{name}"' in text[:20_000] for name in MARKS)
    header = text.partition("\n")[0].replace('"', "").strip().split(",")
    return set(MARKS) <= set(header) or _is_sql(text) or is_markdown(document)


def records_of(document: Document) -> list[dict[str, Any]]:
    """Read the file as one dictionary per test; values of CSV and SQL are text."""
    if document.rows:
        records = _flat(document.rows)
    else:
        text = document.text.lstrip("\ufeff \t\r\n")
        if text.startswith("["):
            raise damaged("a JSON array must be closed with ]", f"{document.path} that is cut off")
        if is_markdown(document):
            records = records_of_markdown(document)
        else:
            records = list(_from_sql(text) if _is_sql(text) else _from_csv(text))
    for record in records:
        if not isinstance(record, dict) or not set(MARKS) <= set(record):
            raise damaged(f"each llama-bench record needs {', '.join(MARKS)}", repr(record)[:80])
    return records


def _flat(values: list[Any]) -> list[Any]:
    """List the records of JSON lines, of an array, or of arrays that were appended to one file."""
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def _is_sql(text: str) -> bool:
    head = text[:20_000]
    return bool(_CREATE.search(head) or _INSERT.search(head)) and all(m in head for m in MARKS)


def _from_csv(text: str) -> Iterator[dict[str, Any]]:
    """Rows of CSV; runs that were appended to one file repeat the header."""
    names: list[str] = []
    for row in csv.reader(io.StringIO(text)):
        if not row:
            continue
        if set(MARKS) <= set(row):
            names = row
        elif len(row) != len(names):
            raise damaged(f"each row must have {len(names)} values", f"{len(row)}: {row[:3]}")
        else:
            yield dict(zip(names, row, strict=True))


def _from_sql(text: str) -> list[dict[str, Any]]:
    """Rows of a dump. Only INSERT INTO llama_bench VALUES runs, in memory, and calls nothing."""
    statements = list(_statements(text))
    names = _columns(statements)
    inserts = [statement for statement in statements if _INSERT.match(statement)]
    con = sqlite3.connect(":memory:")
    con.row_factory = sqlite3.Row
    con.execute("CREATE TABLE llama_bench (" + ", ".join(f'"{name}" TEXT' for name in names) + ")")
    con.set_authorizer(
        lambda action, table, *_: sqlite3.SQLITE_OK
        if action in _ALLOWED and table in ("llama_bench", "BEGIN") else sqlite3.SQLITE_DENY
    )  # fmt: skip
    for statement in inserts:
        try:
            con.execute(_INTO.sub("INSERT INTO llama_bench", statement, count=1))
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise damaged(
                "INSERT must hold one row of plain values", f"{statement[:60]!r}: {error}"
            ) from None
    con.set_authorizer(None)
    rows = [dict(row) for row in con.execute("SELECT * FROM llama_bench")]
    con.close()
    return rows


def _statements(text: str) -> Iterator[str]:
    """Split a dump and refuse whatever is not part of one."""
    pending = ""
    for line in text.splitlines():
        pending += line + "\n"
        if not sqlite3.complete_statement(pending):
            continue
        statement, pending = pending.strip(), ""
        if not any(p.match(statement) for p in (_CREATE, _INSERT)) and not _BETWEEN.fullmatch(
            statement
        ):
            raise damaged(
                "a dump of llama-bench holds CREATE TABLE and INSERT INTO its one table only",
                repr(statement[:60]),
            )
        yield statement
    if pending.strip():
        raise damaged("each SQL statement must end with ;", repr(pending.strip()[:60]))


def _columns(statements: list[str]) -> list[str]:
    """Names of all columns of the dump; runs of different versions differ in them."""
    names: dict[str, None] = {}
    for statement in statements:
        create, insert = _CREATE.match(statement), _INSERT.match(statement)
        listed = insert[1] if insert and insert[1] else ""
        if create:
            listed = statement[create.end() : statement.rindex(")")]
        found = [_NAME.match(part.strip()) for part in listed.split(",") if part.strip()]
        names.update(dict.fromkeys(match[1] for match in found if match))
    if not names:
        raise damaged("a dump must name its columns", "no CREATE TABLE and no column list")
    return list(names)
