"""Addresses of a PostgreSQL database, and what an error of libpq means, told without secrets."""

from __future__ import annotations

import re
from importlib import import_module

from lengthwise.errors import InputError

_ADDRESS = re.compile(
    r'connection to server (?:on socket|at) "[^"]*"(?: \([^)]*\))?(?:, port \d+)?'
)
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_REMEDIES = (
    ("password authentication", "correct user and password in --database"),
    ("no password supplied", "write postgresql://user:password@host/name, or use PGPASSFILE"),
    ("no pg_hba.conf entry", "allow this machine in pg_hba.conf of the server"),
    ("role ", "make the user: createuser NAME"),
    ("does not exist", "make the database: createdb NAME"),
    ("permission denied", "let the user create the schema: GRANT CREATE ON DATABASE"),
    ("ssl", "correct sslmode in --database, or the certificates of the server"),
    ("resolve host", "correct the host in --database"),
    ("too many c", "raise max_connections of the server; a worker needs two"),
    ("", "start the database, or correct host and port in --database; it is tried again"),
)
"""Words of libpq to what can be done; the first that fit."""


def check_url(url: str) -> None:
    """Raise an `InputError` unless libpq reads an address as it was meant.

    A password with ``@``, ``/`` or ``:`` that is not percent-encoded moves into the name of the
    host, and would be told in errors.
    """
    try:
        parts = import_module("psycopg.conninfo").conninfo_to_dict(url)
    except ImportError:
        return  # said by whoever needs the driver
    except Exception as error:  # of the driver; its words may hold a part of the password
        raise InputError("the database must be a URL postgresql://user:password@host:port/name",
                         got=_QUOTED.sub("(hidden)", str(error)).strip()[:120],
                         remedy="percent-encode what is no letter or digit") from None  # fmt: skip
    host, port, name = (str(parts.get(key) or "") for key in ("host", "port", "dbname"))
    if "@" in host + name or not all(p.isdigit() for p in port.split(",") if p):
        raise InputError("user and password in the URL of a database must be percent-encoded",
                         got="an address that cannot be read as it was meant",
                         remedy="write %40 for @, %2F for /, %3A for :") from None  # fmt: skip


def told(error: Exception) -> str:
    """Return what an error of the driver says, without the address of the server.

    >>> told(OSError('connection to server at "db.internal", port 5432 failed: timeout expired'))
    'connection to the server failed: timeout expired'
    >>> told(OSError("failed to resolve host 'db.internal': Name or service not known"))
    'failed to resolve host (hidden): Name or service not known'
    """
    text = _ADDRESS.sub("connection to the server", " ".join(str(error).split()))
    return _QUOTED.sub("(hidden)", text)[:160]


def remedy(error: Exception) -> str:
    """Return what can be done about an error of the driver.

    >>> remedy(OSError('FATAL: database "x" does not exist'))
    'make the database: createdb NAME'
    """
    text = str(error).lower()
    return next(what for words, what in _REMEDIES if words in text)
