"""A PostgreSQL server on a socket of its own, run as an ordinary user."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path


class Postgres:
    """Start and stop a server under a temporary directory.

    Parameters
    ----------
    programs
        Directory of initdb and pg_ctl.
    directory
        Where its data go.
    """

    def __init__(self, programs: Path, directory: Path) -> None:
        self.programs = programs
        self.directory = Path(tempfile.mkdtemp(prefix="lwpg", dir="/tmp"))  # short: socket path
        self.data = self.directory / "data"
        self.url = f"postgresql://tester@/postgres?host={self.directory}"
        self._prefix: list[str] = []
        if os.getuid() == 0:  # the server refuses to run as root
            nobody = pwd.getpwnam("nobody")
            os.chown(self.directory, nobody.pw_uid, nobody.pw_gid)
            self._prefix = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}",
                            "--clear-groups"]  # fmt: skip

    @classmethod
    def find(cls, directory: Path) -> Postgres | None:
        """Find a server: PG_BIN, the package pgserver, Debian's directories, or the path."""
        places = [Path(os.environ["PG_BIN"])] if os.environ.get("PG_BIN") else []
        spec = find_spec("pgserver")
        if spec is not None and spec.origin:
            places.append(Path(spec.origin).parent / "pginstall" / "bin")
        places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        found = shutil.which("pg_ctl")
        places += [Path(found).parent] if found else []
        if find_spec("psycopg") is None:
            return None
        return next((cls(p, directory) for p in places if (p / "initdb").exists()), None)

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

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run([*self._prefix, str(self.programs / program), *arguments], check=True,
                       cwd="/tmp", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                       stdin=subprocess.DEVNULL, timeout=60)  # fmt: skip
