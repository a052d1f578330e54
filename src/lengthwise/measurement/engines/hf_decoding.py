"""How the next tokens are chosen: greedily, by sampling, by beam search, or by drawn beams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import torch


class Choice(Protocol):
    """Chooses tokens; made anew for every run."""

    def __call__(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Choose from logits of shape (n_sequences, vocabulary).

        Returns
        -------
        Tokens of shape (m,), and for each the number of the sequence it continues, shape (m,);
        None when every sequence is continued by one token.
        """


class Greedy:
    """The likeliest token."""

    def __call__(self, logits: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Choose one token per sequence."""
        return logits.argmax(-1), None


class Sample:
    """A token drawn from the softmax of the ``top_k`` best logits (0: all) over a temperature."""

    def __init__(self, temperature: float, top_k: int, generator: torch.Generator) -> None:
        self._temperature, self._top_k, self._generator = temperature, top_k, generator

    def __call__(self, logits: torch.Tensor) -> tuple[torch.Tensor, None]:
        """Draw one token per sequence."""
        logits = logits.float() / self._temperature
        if not self._top_k:
            return self._draw(logits), None
        best, tokens = logits.topk(min(self._top_k, logits.shape[-1]))
        return tokens.gather(-1, self._draw(best)[:, None]).squeeze(-1), None

    def _draw(self, logits: torch.Tensor) -> torch.Tensor:
        chances = logits.softmax(-1)
        return chances.multinomial(1, generator=self._generator).squeeze(-1)


class Beams:
    """Beam search: of all continuations of a prompt's beams, the likeliest ``width`` go on.

    With a temperature they are drawn, without replacement, from the softmax of their scores, where
    the likelihood of a token is taken at that temperature.
    """

    def __init__(
        self, width: int, temperature: float = 0.0, generator: torch.Generator | None = None
    ) -> None:
        self._width, self._temperature, self._generator = width, temperature, generator
        self._scores: torch.Tensor | None = None

    def __call__(self, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Choose ``width`` tokens per prompt; the first call sees one sequence per prompt."""
        import torch

        logits = logits.float()
        chances = (logits / self._temperature if self._temperature else logits).log_softmax(-1)
        beams = 1
        if self._scores is not None:
            beams = self._width
            chances = chances + self._scores.view(-1, 1)
        vocabulary = chances.shape[-1]
        chances = chances.view(-1, beams * vocabulary)
        self._scores, best = self._best(chances)
        first = torch.arange(len(best), device=best.device)[:, None] * beams
        origin = first + best.div(vocabulary, rounding_mode="floor")
        return (best % vocabulary).view(-1), origin.view(-1)

    def _best(self, chances: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if not self._temperature:
            found: tuple[torch.Tensor, torch.Tensor] = chances.topk(self._width)
            return found
        noise = chances.new_empty(chances.shape).exponential_(generator=self._generator)
        drawn = (chances - noise.log()).topk(self._width).indices  # Gumbel noise: a draw by topk
        return chances.gather(-1, drawn), drawn
