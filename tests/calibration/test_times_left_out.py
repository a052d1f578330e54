"""Times that a live measurement left out stay out of laws."""

from __future__ import annotations

import pandas as pd
import pytest

from lengthwise.calibration.groups import step_rows
from lengthwise.calibration.lawset import LawSet
from lengthwise.errors import NothingUsableError


def requests(**columns: object) -> pd.DataFrame:
    return pd.DataFrame(
        {"phase": "request", "isl": [64, 128], "osl": 40, "e2e_ms": 440.0, **columns}
    )


def test_a_time_per_token_that_is_not_known_is_not_derived() -> None:
    noted = requests(ttft_ms=50.0, timing_note=["chunks and token counts disagree", ""])
    decode = step_rows(noted).query("phase == 'decode'")
    assert decode["latency_ms"].isna().tolist() == [True, False]
    assert decode["latency_ms"].iloc[1] == pytest.approx(10.0)
    assert step_rows(requests(ttft_ms=50.0)).query("phase == 'decode'")["latency_ms"].notna().all()


def test_whole_times_alone_make_no_law_and_the_error_says_so() -> None:
    held_back = requests(timing_note="arrived in one piece")
    with pytest.raises(NothingUsableError, match="no ttft_ms, no tpot_ms with osl: 2"):
        LawSet().fit(held_back)
