"""``lengthwise models``: the models that are known by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from lengthwise.errors import NothingUsableError
from lengthwise.interfaces.cli.common import AsJson, print_json, print_table
from lengthwise.units import format_tokens

if TYPE_CHECKING:
    from lengthwise.domain.model import ModelSpec

COLUMNS = ("name", "parameters", "active", "layers", "context", "weights GB", "cache KiB/token")


def command(
    pattern: Annotated[
        str | None, typer.Argument(metavar="[FILTER]", help="Part of a name, or a full name.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the models that --model knows, with what decides their times.

    A full name is found in any usual spelling, with organisation, tuning and quantisation. Any
    other model is described by its config.json.

    For example:
      lengthwise models
      lengthwise models qwen3
      lengthwise models meta-llama/Llama-3.1-8B-Instruct --json
    """
    found = _matching(pattern)
    if as_json:
        print_json([_to_dict(model) for model in found])
        return
    print_table(COLUMNS, [_row(model) for model in found])


def _matching(pattern: str | None) -> list[ModelSpec]:
    from lengthwise.domain.catalog import MODELS
    from lengthwise.domain.model import find_model

    if pattern is None:
        return list(MODELS)
    words = pattern.lower().replace("_", "-").split()
    found = [model for model in MODELS if all(word in model.name for word in words)]
    exact = find_model(pattern)
    if exact is not None:
        found = found or [exact]
    if not found:
        from lengthwise.data.model_files import nearest_models

        near = nearest_models(pattern)
        hint = f"did you mean {', '.join(near)}; " if near else ""
        raise NothingUsableError(
            "a filter must fit a model of the catalogue", got=repr(pattern),
            remedy=f"{hint}other models are described by their config.json",
        )  # fmt: skip
    return found


def _to_dict(model: ModelSpec) -> dict[str, Any]:
    return {
        "name": model.name, "parameters": model.total_parameters,
        "active_parameters": model.active_parameters, "layers": model.layer_count,
        "max_context": model.max_context, "weight_format": model.weight_format,
        "weight_bytes": model.weight_bytes(), "cache_bytes_per_token": model.kv_bytes_per_token,
        "heads": model.heads, "kv_heads": model.kv_heads, "source": model.source,
    }  # fmt: skip


def _row(model: ModelSpec) -> list[str | None]:
    mixture = model.active_parameters < 0.99 * model.total_parameters
    context = None if model.max_context is None else format_tokens(model.max_context)
    return [
        model.name, _billions(model.total_parameters),
        _billions(model.active_parameters) if mixture else None, str(model.layer_count), context,
        f"{model.weight_bytes() / 1e9:.1f}", f"{model.kv_bytes_per_token / 1024:,.0f}",
    ]  # fmt: skip


def _billions(count: float) -> str:
    return f"{count / 1e9:.3g} B" if count >= 1e9 else f"{count / 1e6:.3g} M"
