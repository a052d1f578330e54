"""How a model is spread over processors, and what they then have to tell each other.

::

    tp   every matrix is cut over tp processors               Megatron-LM, arXiv 1909.08053
    pp   the layers are cut into pp stages, one after another  GPipe, arXiv 1811.06965
    ep   the experts are spread over ep processors             DeepSeek-V3, arXiv 2412.19437
    dp   dp copies of the attention part, each with sequences of its own

One engine has tp * dp * pp processors. Attention, dense feed-forward parts and vocabulary tables
are cut over tp and copied dp times; routed experts are spread over the tp * dp processors of a
stage as ep groups of whole experts, each expert cut over the ``moe_tp`` = tp * dp / ep processors
of a group. Ranks are placed tp innermost, then dp, then pp, as engines do.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Literal

from lengthwise.domain.layers import Experts, Layer
from lengthwise.errors import InputError

CollectiveKind = Literal["all_reduce", "all_gather", "reduce_scatter", "alltoall", "send"]


@dataclass(frozen=True)
class Collective:
    """One exchange between processors.

    Attributes
    ----------
    kind
        What is done; ``send`` is point to point.
    message_bytes
        Bytes of the buffer of one processor, as kernel tables count them: the tensor that is summed
        (all_reduce), the whole result (all_gather), the whole input (reduce_scatter), all that one
        processor sends, its own part included (alltoall).
    gpus
        Processors that take part.
    crosses_nodes
        Some of them are in different nodes.

    Examples
    --------
    >>> Collective("all_reduce", 1e6, 4).wire_bytes
    1500000.0
    """

    kind: CollectiveKind
    message_bytes: float
    gpus: int
    crosses_nodes: bool = False

    @property
    def wire_bytes(self) -> float:
        """Bytes one processor sends at least, by the ring or pairwise algorithm.

        all_reduce 2 (g - 1) / g, the others (g - 1) / g of the message (Thakur et al. 2005,
        doi 10.1177/1094342005051521); send: all of it.
        """
        if self.kind == "send":
            return self.message_bytes
        rounds = 2 if self.kind == "all_reduce" else 1
        return rounds * self.message_bytes * (self.gpus - 1) / self.gpus


@dataclass(frozen=True)
class Parallelism:
    """Degrees of parallelism, each 1 or more; ep divides tp * dp.

    Attributes
    ----------
    tp, pp, ep, dp
        Tensor, pipeline, expert and (attention) data parallelism.

    Examples
    --------
    >>> Parallelism(tp=4, pp=2).gpus
    8
    >>> Parallelism(tp=2, dp=4, ep=4).moe_tp
    2
    """

    tp: int = 1
    pp: int = 1
    ep: int = 1
    dp: int = 1

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise InputError(
                    f"{item.name} must be a whole number, 1 or more", got=f"{value!r}",
                    remedy=f"{item.name}=1 means not parallel",
                )  # fmt: skip
        if (self.tp * self.dp) % self.ep:
            raise InputError(
                "ep must divide tp * dp: experts are spread over the processors of a stage",
                got=f"ep={self.ep}, tp={self.tp}, dp={self.dp}",
                remedy="with attention copied on every processor give dp = ep, tp = 1",
            )

    @property
    def stage_gpus(self) -> int:
        """Processors of one pipeline stage, tp * dp."""
        return self.tp * self.dp

    @property
    def gpus(self) -> int:
        """Processors in all, tp * dp * pp."""
        return self.stage_gpus * self.pp

    @property
    def moe_tp(self) -> int:
        """Processors over which one expert is cut, tp * dp / ep."""
        return self.stage_gpus // self.ep

    def nodes(self, gpus_per_node: int) -> int:
        """Count the nodes that are needed.

        >>> Parallelism(tp=8, pp=2).nodes(8)
        2
        """
        return -(-self.gpus // gpus_per_node)

    def collectives(
        self, layer: Layer, tokens: float, hidden: int, bytes_per_value: float = 2.0,
        *, dispatch_bytes: float | None = None, gpus_per_node: int = 8,
    ) -> list[Collective]:  # fmt: skip
        """Give the exchanges of one layer in one step.

        ::

            attention, dense   all_reduce T h b over tp, once each       (Megatron-LM, figure 4)
            experts, dp = 1    the same all_reduce: every processor has all tokens
            experts, dp > 1    ep > 1: alltoall to the experts and back, T / tp tokens of each
                               processor, every one to E[r] of ep ranks;
                               ep = 1: all_gather of the tokens of all copies, reduce_scatter

        A token with k experts drawn evenly from ep ranks goes to E[r] = ep (1 - (1 - 1/ep)^k) of
        them, and once to each (DeepSeek-V3, section 3.2.2).

        Parameters
        ----------
        layer
            One kind of layer; its ``count`` plays no part.
        tokens
            Tokens T of the step in one copy of the attention part.
        hidden
            Width h of a token.
        bytes_per_value
            Bytes b of an activation.
        dispatch_bytes
            Bytes of a value on its way to the experts; None: ``bytes_per_value`` (DeepSeek-V3
            sends 8 bits there and 16 back).
        gpus_per_node
            Processors joined by fast links.

        Returns
        -------
        list of Collective
            In the order of the layer; empty on a single processor.

        Examples
        --------
        >>> from lengthwise.domain.layers import FeedForward
        >>> Parallelism(tp=2).collectives(Layer(1, None, FeedForward(14336)), 1024, 4096)
        [Collective(kind='all_reduce', message_bytes=8388608.0, gpus=2, crosses_nodes=False)]
        """
        size = tokens * hidden * bytes_per_value
        within = self.tp > gpus_per_node
        reduce = [Collective("all_reduce", float(size), self.tp, within)] if self.tp > 1 else []
        found = list(reduce) if layer.mixer is not None else []
        if layer.ffn is None:
            return found
        if not isinstance(layer.ffn, Experts) or self.dp == 1:
            return found + reduce
        if self.ep == 1:
            return found + self._gathered(size, gpus_per_node)
        sent = dispatch_bytes or bytes_per_value
        return found + self._dispatched(
            layer.ffn, tokens, layer.ffn.width(hidden), bytes_per_value, sent, gpus_per_node
        )

    def _gathered(self, size: float, gpus_per_node: int) -> list[Collective]:
        """Experts cut over all processors of the stage: gather the tokens, scatter the sums."""
        far = self.stage_gpus > gpus_per_node
        found = [
            Collective("all_gather", float(self.dp * size), self.dp, far),
            Collective("reduce_scatter", float(self.dp * size), self.stage_gpus, far),
        ]
        if self.tp > 1:
            found.append(Collective("all_gather", float(size), self.tp, self.tp > gpus_per_node))
        return found

    def _dispatched(
        self, experts: Experts, tokens: float, width: int, value: float, sent: float, node: int
    ) -> list[Collective]:
        """Whole experts on ep ranks: tokens travel to them and back."""
        far = self.stage_gpus > node
        ranks = self.ep * (1 - (1 - 1 / self.ep) ** experts.active)
        leaving = tokens / self.tp * ranks * width
        found = [Collective("alltoall", leaving * sent, self.ep, far)]
        if self.moe_tp > 1:  # every group of moe_tp processors sums its tokens
            received = tokens * self.dp * ranks / self.ep * width * value
            found.append(Collective("all_reduce", received, self.moe_tp, self.moe_tp > node))
        found.append(Collective("alltoall", leaving * value, self.ep, far))
        if self.tp > 1:
            whole = tokens * width * value
            found.append(Collective("all_gather", whole, self.tp, self.tp > node))
        return found

    def stage_sends(
        self, tokens: float, hidden: int, bytes_per_value: float = 2.0, *, gpus_per_node: int = 8
    ) -> list[Collective]:
        """Give the pp - 1 handovers between stages in one step.

        Each of the tp processors of a stage hands on its 1 / tp of the T h activations
        (Narayanan et al. 2021, arXiv 2104.04473, section 4.1).

        Examples
        --------
        >>> [send.crosses_nodes for send in Parallelism(tp=4, pp=4).stage_sends(64, 4096)]
        [False, True, False]
        """
        part = tokens * hidden * bytes_per_value / self.tp
        stage = self.stage_gpus

        def crosses(boundary: int) -> bool:
            first, second = boundary * stage, (boundary + 1) * stage
            return any(
                (first + rank) // gpus_per_node != (second + rank) // gpus_per_node
                for rank in range(stage)
            )

        return [Collective("send", part, 2, crosses(i)) for i in range(self.pp - 1)]

    def table_collectives(
        self, tokens: float, sequences: float, hidden: int, vocab: int,
        bytes_per_value: float = 2.0, *, gpus_per_node: int = 8,
    ) -> list[Collective]:  # fmt: skip
        """Give the exchanges around the vocabulary tables, cut over tp, in one step.

        The input table gives partial sums of T h values, the output table its share of the logits
        of one token per sequence, which are gathered.

        Examples
        --------
        >>> [c.message_bytes for c in Parallelism(tp=2).table_collectives(8, 8, 4096, 128256)]
        [65536.0, 2052096.0]
        """
        if self.tp == 1:
            return []
        far = self.tp > gpus_per_node
        return [
            Collective("all_reduce", float(tokens * hidden * bytes_per_value), self.tp, far),
            Collective("all_gather", float(sequences * vocab * bytes_per_value), self.tp, far),
        ]
