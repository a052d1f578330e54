"""Files of every version of the common tools give the means that they state themselves."""

from pathlib import Path

import numpy as np
import pytest
from exports import good, run
from versions_clients import CLIENTS, File, Version
from versions_reports import REPORTS

from lengthwise.data.importing import import_table

SEEDS = (0, 1, 2)
ROUNDED = 1e-5
"""Share that rounding may cost: unix seconds in a double, whole nanoseconds."""


def written(file: File, folder: Path) -> Path:
    path = folder / file.name
    path.write_text(file.text)
    return path


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("version", [*CLIENTS, *REPORTS], ids=lambda version: version.__name__)
def test_the_means_are_those_the_file_states(version: Version, seed: int, tmp_path: Path) -> None:
    requests = run(seed=seed)
    file = version(requests)
    table, report = import_table(written(file, tmp_path), constants=file.given)
    assert report.format == file.format
    assert file.stated
    for column, mean in file.stated.items():
        whole = 0.5 if column in ("isl_mean", "osl_mean") else 0.0
        found = np.nanmean(table[column].astype(float))
        assert found == pytest.approx(mean, rel=ROUNDED, abs=whole), column
    done = len(good(requests))
    if "n_requests" in table:
        assert table["n_requests"].tolist() == [done]
    else:
        assert file.steps or len(table) == done
    times = table.filter(regex="^(ttft|tpot|e2e|latency)_ms$")
    assert not (times <= 0).any(axis=None)
