"""What prefill attention takes: pairs, tiles, paths, bytes.

A query tile of 128 tokens is one block of work of one (sequence, head); blocks are spread over the
multiprocessors, so a step lasts as long as its total work divided by them, or as its longest block:

    total = rate * pairs * sequences * heads / peak    (pairs: visible keys summed over queries)
    path  = rate * 128 * visible keys / (peak / multiprocessors)

Tables hold whole prompts only (``context_len == query_len``). For a chunk behind a cached prefix,
pairs and tile padding grow by the keys of the prefix; per-token costs are paid by new tokens;
keys and values of the prefix are read at memory speed. That is an assumption, not a measurement.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from lengthwise.formulations.operators.cell import Cell
from lengthwise.formulations.operators.correction import NODES, at, node_sizes, rising
from lengthwise.formulations.operators.device import Device
from lengthwise.formulations.operators.terms import Array, above, either, rise

TILE = 128.0
PADDED = 16.0
"""Queries from which a call is a full prefill call; a single query is a decode step."""


@dataclass(frozen=True)
class PrefillSizes:
    """One prefill call per row; arrays of shape (n,).

    Attributes
    ----------
    device
        Ceilings.
    sequences, query, context
        Sequences, new tokens of each, keys visible to the last of them.
    heads, kv_heads
        Heads on this processor.
    pair_flops
        FLOP per query, key and head: 2 * (key values + value values).
    query_bytes, kv_bytes
        Bytes per token and head read and written for queries and outputs; for keys and values.
    window
        Keys a query sees at most; infinite: all.
    cache_bytes
        Bytes that an earlier call left in the cache; 0: nothing.
    """

    device: Device
    sequences: Array
    query: Array
    context: Array
    heads: Array
    kv_heads: Array
    pair_flops: Array
    query_bytes: Array
    kv_bytes: Array
    window: Array
    cache_bytes: float

    @property
    def items(self) -> Array:
        """Heads of all sequences."""
        return self.sequences * self.heads

    @property
    def kv_items(self) -> Array:
        """Key-value heads of all sequences."""
        return self.sequences * self.kv_heads

    @property
    def prefix(self) -> Array:
        """Keys cached before the call, as far as the window reaches."""
        return np.asarray(np.minimum(self.context - self.query, self.window))

    @property
    def pairs(self) -> Array:
        """Query-key pairs of one head of one sequence."""
        return _pairs(self.context, self.window) - _pairs(self.context - self.query, self.window)

    @property
    def pad(self) -> Array:
        """0 for a single query, 1 for a full prefill call."""
        return rise(self.query, 1.0, PADDED)

    @property
    def pair_seconds(self) -> Array:
        """Seconds of one pair at the peak of the whole processor."""
        return self.pair_flops / self.device.peak_flops

    @property
    def ideal(self) -> Array:
        """Seconds of all pairs at peak."""
        return self.pair_seconds * self.items * self.pairs

    @property
    def path(self) -> Array:
        """Seconds of the last query tile on one multiprocessor at peak."""
        span = np.minimum(self.context, self.window + TILE)
        return self.pair_seconds * self.device.multiprocessors * TILE * span

    @property
    def waste(self) -> Array:
        """Seconds of half a tile more keys for each query, and of half a tile more queries."""
        return self.pair_seconds * self.items * TILE * (self.query + self.prefix)

    @property
    def query_traffic(self) -> Array:
        """Bytes of queries and outputs."""
        return self.items * self.query_bytes * self.query

    @property
    def kv_traffic(self) -> Array:
        """Bytes of keys and values of the new tokens."""
        return self.kv_items * self.kv_bytes * self.query

    @property
    def traffic(self) -> Array:
        """Bytes of both."""
        return self.query_traffic + self.kv_traffic

    def spilled(self, start: float) -> Array:
        """Seconds of queries and outputs beyond ``start`` caches, at memory speed."""
        return above(self.query_traffic, start * self.cache_bytes) / self.device.bandwidth

    def blocks(self, factor: float) -> Array:
        """Waves of blocks, at least about one; microseconds as a unit."""
        waves = factor * self.items * np.maximum(self.query / TILE, 1.0)
        return 1e-6 * either(waves / self.device.multiprocessors, 1.0)

    def longest(self, factor: float, sharpness: int) -> Array:
        """Seconds at peak of the longest block or of all blocks, whichever is more."""
        return either(factor * self.path, self.ideal, sharpness)


def _pairs(length: Array, window: Array) -> Array:
    near = np.minimum(length, window)
    return near * (near + 1.0) / 2.0 + above(length, window) * np.where(length > near, window, 0.0)


def floor(sizes: PrefillSizes) -> Array:
    """Seconds that peak arithmetic and memory bandwidth allow at best."""
    read = sizes.kv_items * sizes.kv_bytes * sizes.prefix
    moved = above(sizes.traffic + read, sizes.cache_bytes) / sizes.device.bandwidth
    return np.asarray(np.maximum(sizes.ideal, moved))


PREFILL_BASE: dict[str, Callable[[PrefillSizes], Array]] = {
    "launch": lambda s: np.ones_like(s.query),
    "pad": lambda s: s.pad * 1e-6,
    "item": lambda s: s.pair_seconds * TILE * TILE * s.items,
    "item_pad": lambda s: s.pair_seconds * TILE * TILE * s.items * s.pad,
    "waste": lambda s: s.waste,
    "pairs": lambda s: s.ideal,
    "path": lambda s: s.path,
    "path_root": lambda s: np.sqrt(s.path * 1e-6),
    "query": lambda s: s.query * 1e-9,
    "longest_half": lambda s: s.longest(0.5, 6),
    "longest_half_soft": lambda s: s.longest(0.5, 2),
    "longest": lambda s: s.longest(1.0, 6),
    "longest_soft": lambda s: s.longest(1.0, 2),
    "longest_twice": lambda s: s.longest(2.0, 6),
    "waves_half": lambda s: s.blocks(0.5),
    "waves": lambda s: s.blocks(1.0),
    "waves_twice": lambda s: s.blocks(2.0),
    "bytes": lambda s: s.query_traffic / s.device.bandwidth,
    "spill_quarter": lambda s: s.spilled(0.25),
    "spill_half": lambda s: s.spilled(0.5),
    "spill": lambda s: s.spilled(1.0),
    "spill_twice": lambda s: s.spilled(2.0),
    "hot_short": lambda s: above(s.ideal, 0.2e-3),
    "hot": lambda s: above(s.ideal, 1e-3),
    "hot_long": lambda s: above(s.ideal, 5e-3),
    "hot_longest": lambda s: above(s.ideal, 20e-3),
    "waste_root": lambda s: np.sqrt(s.waste * 1e-5),
    "pairs_root": lambda s: np.sqrt(s.ideal * 1e-5),
}
"""Terms of items and lengths, seconds. ``hot_*``: long calls run at lower clocks; ``spill_*``: past
the cache."""

PREFILL_SIDE: dict[str, Callable[[PrefillSizes], Array]] = {
    "kv": lambda s: s.kv_traffic / s.device.bandwidth,
    "kv_spill_quarter": lambda s: above(s.kv_traffic, 0.25 * s.cache_bytes) / s.device.bandwidth,
    "kv_spill": lambda s: above(s.kv_traffic, s.cache_bytes) / s.device.bandwidth,
    "kv_pad": lambda s: s.kv_items * s.pad * 1e-9,
    "kv_item": lambda s: s.kv_items * 1e-9,
    "token": lambda s: s.sequences * s.query * 1e-9,
    "token_pair": lambda s: s.sequences * s.query * 1e-9 * rise(s.kv_heads, 1.0, 2.0),
    "token_four": lambda s: s.sequences * s.query * 1e-9 * rise(s.kv_heads, 2.0, 4.0),
    "query_pair": lambda s: s.query_traffic * rise(s.kv_heads, 1.0, 2.0) / s.device.bandwidth,
    "query_four": lambda s: s.query_traffic * rise(s.kv_heads, 2.0, 4.0) / s.device.bandwidth,
    "query_spill_four": lambda s: (
        above(s.query_traffic, 0.5 * s.cache_bytes)
        * rise(s.kv_heads, 2.0, 4.0)
        / s.device.bandwidth
    ),
    "token_spill": lambda s: above(s.traffic, s.cache_bytes) / s.device.bandwidth,
    "prefix": lambda s: s.kv_items * s.kv_bytes * s.prefix / s.device.bandwidth,
}
"""Terms of key-value heads, tokens and a cached prefix, seconds. ``*_pair``, ``*_four``: copies
that kernels make of several key-value heads."""

PREFILL_TERMS = PREFILL_BASE | PREFILL_SIDE
LONGEST = {"longest_half": 0.5, "longest_half_soft": 0.5, "longest": 1.0, "longest_soft": 1.0,
           "longest_twice": 2.0}  # fmt: skip
"""Terms that are pairs or path, whichever is more, with their factor on the path."""


def prefill_seconds(cell: Cell, sizes: PrefillSizes) -> Array:
    """Predict calls that share head size, window and bytes; seconds, shape (n,)."""
    bound = floor(sizes)
    if cell.correction is None:
        return np.maximum(cell.total(PREFILL_TERMS, sizes), bound)
    first = (float(a.flat[0]) for a in (sizes.pair_flops, sizes.query_bytes, sizes.window))
    table = _table(cell, sizes.device, sizes.cache_bytes, *first)
    found = at(table, sizes.items, sizes.query) + cell.total(PREFILL_SIDE, sizes)
    if np.any(sizes.context > sizes.query):
        found += _prefix_seconds(cell, sizes)
    return np.maximum(found, bound)


def _prefix_seconds(cell: Cell, sizes: PrefillSizes) -> Array:
    """Add what a cached prefix costs: its pairs or its path, and tile padding, at the cell's rates.

    Grows with the prefix and with the new tokens, and is 0 without a prefix.
    """
    rate = max(sum(cell.coefficients.get(name, 0.0) for name in ("pairs", *LONGEST)), 1.0)
    reach = sum(
        cell.coefficients.get(name, 0.0) * f for name, f in {"path": 1.0, **LONGEST}.items()
    )
    alone = replace(sizes, context=sizes.query)
    pairs = sizes.ideal - alone.ideal
    along = sizes.pair_seconds * sizes.device.multiprocessors * TILE * sizes.prefix
    padding = cell.coefficients.get("waste", 0.0) * (sizes.waste - alone.waste)
    hot = {name: term for name, term in PREFILL_BASE.items() if name.startswith("hot")}
    longer = cell.total(hot, sizes) - cell.total(hot, alone)
    return either(rate * pairs, reach * along) + padding + longer


def prefill_nodes(
    device: Device, cache_bytes: float, pair_flops: float, query_bytes: float, window: float
) -> PrefillSizes:
    """Give the calls at the nodes of a correction: whole prompts without key-value heads."""
    items, lengths = node_sizes()
    one = np.ones_like(items)
    return PrefillSizes(
        device, items, lengths, lengths, one, 0.0 * one, pair_flops * one, query_bytes * one,
        0.0 * one, window * one, cache_bytes,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _table(cell: Cell, device: Device, cache_bytes: float, *per_call: float) -> Array:
    assert cell.correction is not None
    sizes = prefill_nodes(device, cache_bytes, *per_call)
    base = np.log(cell.total(PREFILL_BASE, sizes)).reshape(NODES, NODES)
    return rising(base + cell.correction.padded())
