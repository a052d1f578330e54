"""What decode attention takes: items, the length each reads, bytes, and splits of long contexts.

One (sequence, kv head) is an item of work; with few items, kernels cut a long context into splits
that are put together afterwards. The bytes of all keys and values are read once:

    bytes = sequences * kv_heads * visible keys * bytes per key and value

Kernel tables repeat one call, so that keys and values smaller than the cache are read from it;
past it, reading in turn empties a cache before it is of use, and the whole comes from memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lengthwise.formulations.operators.cell import Cell
from lengthwise.formulations.operators.correction import NODES, at, node_sizes, rising
from lengthwise.formulations.operators.device import Device
from lengthwise.formulations.operators.terms import Array, above, either, rise


@dataclass(frozen=True)
class DecodeSizes:
    """One decode call per row; arrays of shape (n,).

    Attributes
    ----------
    device
        Ceilings.
    sequences, context
        Sequences, and tokens of each.
    window
        Keys that a token sees at most; infinite: all.
    heads, kv_heads
        Query heads, and items of keys and values per sequence (1 where all heads share them).
    pair_flops
        FLOP per query, key and head.
    kv_bytes
        Bytes of one key with its value.
    query_bytes
        Bytes of a query and an output of one head.
    cache_bytes
        Bytes that an earlier call left in the cache; 0: nothing.
    """

    device: Device
    sequences: Array
    context: Array
    window: Array
    heads: Array
    kv_heads: Array
    pair_flops: Array
    kv_bytes: Array
    query_bytes: Array
    cache_bytes: float

    @property
    def visible(self) -> Array:
        """Keys that each token reads."""
        return np.minimum(self.context, self.window)

    @property
    def group(self) -> Array:
        """Query heads for each item of keys and values."""
        return self.heads / self.kv_heads

    @property
    def items(self) -> Array:
        """Items per multiprocessor."""
        return self.sequences * self.kv_heads / self.device.multiprocessors

    @property
    def rows(self) -> Array:
        """Query rows per multiprocessor."""
        return self.sequences * self.heads / self.device.multiprocessors

    @property
    def rearranged(self) -> Array:
        """1 for several sequences of several key-value heads, which some kernels copy first."""
        return rise(self.sequences, 1.0, 2.0) * rise(self.kv_heads, 1.0, 2.0)

    @property
    def item_bytes(self) -> Array:
        """Bytes of the keys and values of one item."""
        return self.visible * self.kv_bytes

    @property
    def bytes(self) -> Array:
        """Bytes of all keys and values read."""
        return self.sequences * self.kv_heads * self.item_bytes

    @property
    def memory(self) -> Array:
        """Seconds of those bytes at memory speed."""
        return self.bytes / self.device.bandwidth

    @property
    def ideal(self) -> Array:
        """Seconds of the arithmetic at peak."""
        pairs = self.sequences * self.heads * self.visible
        return self.pair_flops * pairs / self.device.peak_flops

    def missed(self, start: float, end: float) -> Array:
        """Seconds at memory speed of bytes that the cache misses, from none to all of them."""
        if self.cache_bytes == 0:
            return self.memory
        return self.memory * rise(self.bytes / self.cache_bytes, start, end)

    def spilled(self, start: float) -> Array:
        """Seconds at memory speed of the bytes beyond ``start`` caches."""
        return above(self.bytes, start * self.cache_bytes) / self.device.bandwidth

    def part(self, keys: float) -> Array:
        """Share of a length that saturates at about ``keys``."""
        return self.visible / (self.visible + keys)

    def few(self, waves: float) -> Array:
        """Items up to about ``waves`` per multiprocessor."""
        return self.items / (1.0 + self.items / waves)

    def waves(self, factor: float) -> Array:
        """Waves of items, at least one; microseconds as a unit."""
        return 1e-6 * either(factor * self.items, 1.0)

    def beyond(self, most: float) -> Array:
        """Root of all tokens in the cache, up to ``most``, where a window hides some of them.

        Some kernels split a context into parts before they see that a window leaves most of them
        empty. Microseconds as a unit.
        """
        tokens = self.sequences * self.kv_heads * above(self.context, self.window)
        return 1e-6 * np.sqrt(np.minimum(tokens, most))

    def split(self, keys: float) -> Array:
        """Seconds of reading in splits of ``keys``, each at a multiprocessor's share of memory."""
        splits = self.items * np.maximum(self.visible / keys, 1.0)
        alone = np.minimum(self.visible, keys) * self.kv_bytes * self.device.multiprocessors
        return either(splits, 1.0) * alone / self.device.bandwidth

    def serial(self, keys: float) -> Array:
        """Seconds of one item read by ``keys / visible`` of a multiprocessor's share of memory."""
        alone = self.item_bytes * self.device.multiprocessors / self.device.bandwidth
        return alone / (1.0 + self.visible / keys)

    def bounded(self, limit: float) -> Array:
        """Memory time that saturates at ``limit`` seconds."""
        return self.memory * limit / (self.memory + limit)


def floor(sizes: DecodeSizes) -> Array:
    """Seconds that peak arithmetic and memory bandwidth allow at best."""
    moved = above(sizes.bytes, sizes.cache_bytes) / sizes.device.bandwidth
    return np.asarray(np.maximum(sizes.ideal, moved))


DECODE_BASE: dict[str, Callable[[DecodeSizes], Array]] = {
    "launch": lambda s: np.ones_like(s.context),
    "length_32": lambda s: 1e-6 * s.part(32.0),
    "length_128": lambda s: 1e-6 * s.part(128.0),
    "length_512": lambda s: 1e-6 * s.part(512.0),
    "length_4096": lambda s: 1e-6 * s.part(4096.0),
    "length_root": lambda s: 1e-6 * np.sqrt(s.visible),
    "length": lambda s: 1e-9 * s.visible,
    "items": lambda s: 1e-6 * s.items,
    "beyond_64k": lambda s: s.beyond(2.0**16),
    "beyond_256k": lambda s: s.beyond(2.0**18),
    "beyond_1m": lambda s: s.beyond(2.0**20),
    "items_few": lambda s: 1e-6 * s.few(1.0),
    "items_some": lambda s: 1e-6 * s.few(8.0),
    "items_root": lambda s: 1e-6 * np.sqrt(s.items),
    "waves_half": lambda s: s.waves(0.5),
    "waves": lambda s: s.waves(1.0),
    "waves_twice": lambda s: s.waves(2.0),
    "waves_more": lambda s: s.waves(4.0),
    "items_length": lambda s: 1e-6 * s.items * s.part(256.0),
    "few_length": lambda s: 1e-6 * s.few(2.0) * s.part(256.0),
    "some_length": lambda s: 1e-6 * s.few(8.0) * s.part(256.0),
    "few_long": lambda s: 1e-6 * s.few(2.0) * s.part(2048.0),
    "bytes": lambda s: s.memory,
    "bytes_page": lambda s: s.memory * above(s.visible, 64.0) / s.visible,
    "bytes_20us": lambda s: s.bounded(20e-6),
    "bytes_100us": lambda s: s.bounded(100e-6),
    "bytes_500us": lambda s: s.bounded(500e-6),
    "bytes_root": lambda s: np.sqrt(s.memory * 1e-5),
    "spill_quarter": lambda s: s.spilled(0.25),
    "spill_half": lambda s: s.spilled(0.5),
    "spill": lambda s: s.spilled(1.0),
    "spill_twice": lambda s: s.spilled(2.0),
    "miss_early": lambda s: s.missed(0.35, 0.75),
    "miss_half": lambda s: s.missed(0.5, 1.0),
    "miss": lambda s: s.missed(0.7, 1.4),
    "miss_late": lambda s: s.missed(1.0, 2.0),
    "miss_latest": lambda s: s.missed(2.0, 4.0),
    "split_128": lambda s: s.split(128.0),
    "split_512": lambda s: s.split(512.0),
    "split_2048": lambda s: s.split(2048.0),
    "serial_256": lambda s: s.serial(256.0),
    "serial_2048": lambda s: s.serial(2048.0),
    "serial_all": lambda s: s.serial(1e9),
    "length_128_256": lambda s: 1e-6 * rise(s.visible, 128.0, 256.0),
    "length_256_512": lambda s: 1e-6 * rise(s.visible, 256.0, 512.0),
}
"""Terms of items and lengths, seconds; ``miss_*`` and ``spill_*``: past the cache."""

DECODE_SIDE: dict[str, Callable[[DecodeSizes], Array]] = {
    "rows": lambda s: 1e-6 * s.rows,
    "items_group": lambda s: 1e-6 * s.items * np.maximum(1.0, s.group / 8.0),
    "rows_root": lambda s: 1e-6 * np.sqrt(s.rows),
    "sequences": lambda s: 1e-6 * s.sequences / s.device.multiprocessors,
    "rows_length": lambda s: 1e-6 * s.rows * s.part(256.0),
    "arithmetic": lambda s: s.ideal,
    "queries": lambda s: s.sequences * s.heads * s.query_bytes / s.device.bandwidth,
    "group_bytes": lambda s: s.memory * above(s.group, 1.0),
    "group_items": lambda s: 1e-6 * s.items * above(s.group, 1.0),
    "arrange": lambda s: 1e-6 * s.rearranged,
    "arrange_rows": lambda s: 1e-6 * s.rearranged * s.rows,
    "rows_few": lambda s: 1e-6 * s.rows / (1.0 + s.rows),
}
"""Terms of query heads and sequences, seconds."""

DECODE_TERMS = DECODE_BASE | DECODE_SIDE


def decode_seconds(cell: Cell, sizes: DecodeSizes) -> Array:
    """Predict calls that share head size, window and bytes; seconds, shape (n,)."""
    bound = floor(sizes)
    if cell.correction is None:
        return np.maximum(cell.total(DECODE_TERMS, sizes), bound)
    first = (float(a.flat[0]) for a in (sizes.window, sizes.pair_flops, sizes.kv_bytes))
    table = _table(cell, sizes.device, sizes.cache_bytes, *first)
    items = sizes.sequences * sizes.kv_heads
    found = at(table, items, sizes.context) + cell.total(DECODE_SIDE, sizes)
    return np.maximum(found, bound)


def decode_nodes(
    device: Device, cache_bytes: float, window: float, pair_flops: float, kv_bytes: float
) -> DecodeSizes:
    """Give the calls at the nodes of a correction: items of one query head.

    Past a window the terms stand still; kernels may yet take longer over a longer context.
    """
    items, lengths = node_sizes()
    one = np.ones_like(items)
    return DecodeSizes(
        device,
        items,
        lengths,
        window * one,
        one,
        one,
        pair_flops * one,
        kv_bytes * one,
        0.0 * one,
        cache_bytes,
    )


@lru_cache(maxsize=1024)
def _table(cell: Cell, device: Device, cache_bytes: float, *per_call: float) -> Array:
    assert cell.correction is not None
    sizes = decode_nodes(device, cache_bytes, *per_call)
    base = np.log(cell.total(DECODE_BASE, sizes)).reshape(NODES, NODES)
    return rising(base + cell.correction.padded())
