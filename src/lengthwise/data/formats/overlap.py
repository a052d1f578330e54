"""How many requests were in flight, from their starts and ends."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lengthwise.units import FloatArray

NOTE = "concurrency is the mean number of requests in flight while each ran, by starts and ends"


def in_flight(
    start: npt.ArrayLike, end: npt.ArrayLike, *, among: tuple[npt.ArrayLike, npt.ArrayLike]
) -> FloatArray:
    """Return the mean number of requests in flight while each of n requests ran, at least 1.

    It is rounded to two decimals, which timings do not go beyond.

    Parameters
    ----------
    start, end
        Times of the requests asked about, s, shape (n,).
    among
        Starts and ends of all requests, failed ones too, s, shape (m,) each.

    Examples
    --------
    >>> in_flight([0, 1], [10, 9], among=([0, 1], [10, 9])).tolist()
    [1.8, 2.0]
    """
    starts, ends = (np.asarray(times, dtype=float) for times in among)
    whole = np.isfinite(starts) & np.isfinite(ends)
    starts, ends = starts[whole], ends[whole]
    if not len(starts):
        return np.ones(np.size(start))
    origin = starts.min()
    begins, stops = np.sort(starts - origin), np.sort(ends - origin)
    begin, stop = np.asarray(start, dtype=float) - origin, np.asarray(end, dtype=float) - origin

    def spent(time: FloatArray) -> FloatArray:
        """Request seconds spent before each time."""
        return _sum_of_minima(stops, time) - _sum_of_minima(begins, time)

    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (spent(stop) - spent(begin)) / (stop - begin)
    return np.asarray(np.where(stop > begin, np.fmax(np.round(mean, 2), 1.0), 1.0))


def _sum_of_minima(sorted_times: FloatArray, limit: FloatArray) -> FloatArray:
    """Sum over all times of min(time, limit), for each limit."""
    running = np.concatenate([[0.0], np.cumsum(sorted_times)])
    below = np.searchsorted(sorted_times, limit)
    return np.asarray(running[below] + (len(sorted_times) - below) * limit)
