"""What all tests share."""

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# Small matrices gain nothing from threads that wait for each other; child processes inherit this.
for library in ("OMP", "OPENBLAS", "MKL"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

# A change is judged by the same examples as the last one; new ones are sought at the desk.
settings.register_profile("ci", derandomize=True, deadline=None)
if os.environ.get("CI"):
    settings.load_profile("ci")

# A shell that starts the suite in the background has it ignore Ctrl-C, and so its children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

BESIDE = Path(__file__).parents[2] / "shared" / "data"
if "LENGTHWISE_DATA" not in os.environ and BESIDE.is_dir():
    os.environ["LENGTHWISE_DATA"] = str(BESIDE)


@pytest.fixture
def needs_data() -> Path:
    """Folder of measured data of others; skips, visibly, where there is none."""
    folder = os.environ.get("LENGTHWISE_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("needs measured data of others: set LENGTHWISE_DATA to their folder")
    return Path(folder)
