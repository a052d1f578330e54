"""The server of the tests runs wherever its programs lie."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from service_postgres import Postgres


@pytest.mark.skipif(os.getuid() != 0, reason="only root runs the server as another user")
def test_it_runs_where_only_root_may_read_the_programs(tmp_path: Path, postgres: Postgres) -> None:
    private = tmp_path / "private é"
    private.mkdir(mode=0o700)
    package = postgres.programs.parent.parent
    shutil.copytree(postgres.programs.parent, private / package.name / "pginstall",
                    ignore=shutil.ignore_patterns("include", "*.a"))  # fmt: skip
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, private / libraries.name)

    server = Postgres(private / package.name / "pginstall" / "bin")
    server.start()
    try:
        server.clear()
    finally:
        server.remove()

    assert not server.directory.exists()
