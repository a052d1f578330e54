"""Build a model with random weights on its device, in its precision."""

from __future__ import annotations

import inspect
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lengthwise.errors import InputError
from lengthwise.measurement.engine import EngineOptions
from lengthwise.measurement.engines.hf_memory import check_weights
from lengthwise.measurement.engines.hf_models import short

if TYPE_CHECKING:
    import torch
    from transformers import PretrainedConfig

PRECISIONS = {"cpu": ("f32", "bf16", "f16", "int8"), "cuda": ("bf16", "f16", "f32")}
"""Precisions by device; the first is the default."""
TYPES = {"f32": "float32", "bf16": "bfloat16", "f16": "float16", "int8": "float32"}
"""Type in which a model is built, by precision; int8 is made from float32."""
READS_HEAD = ("mamba", "falcon_mamba", "mamba2")
"""Architectures that look at the weights of their head, which int8 layers do not have.

All state-space layers do so with ``dt_proj``.
"""


def precision_of(options: EngineOptions) -> str:
    """Check device and precision and give the precision.

    >>> precision_of(EngineOptions(device="cpu"))
    'f32'
    """
    if options.device not in PRECISIONS:
        raise InputError(f"the device must be one of {', '.join(PRECISIONS)}",
                         got=repr(options.device), remedy="write cpu")  # fmt: skip
    known = PRECISIONS[options.device]
    precision = options.precision or known[0]
    if precision not in known:
        raise InputError(
            f"the precision of transformers on {options.device} must be one of {', '.join(known)}",
            got=repr(precision), remedy=f"write {known[0]}",
        )  # fmt: skip
    return precision


def check_device(options: EngineOptions, attention: str, compiled: bool) -> None:
    """Refuse what this machine lacks: a GPU, FlashAttention, a compiler."""
    import torch
    from transformers.utils import is_flash_attn_2_available

    if options.device == "cuda" and not torch.cuda.is_available():
        raise InputError("the device cuda needs a GPU and a torch built for it",
                         got=f"torch {torch.__version__}, which sees none",
                         remedy="use --device cpu, or install torch with CUDA")  # fmt: skip
    flash = options.device == "cuda" and is_flash_attn_2_available()
    if attention == "flash_attention_2" and not flash:
        raise InputError("flash_attention_2 needs a GPU and the package flash-attn",
                         got=f"device {options.device}",
                         remedy="write attention=sdpa")  # fmt: skip
    if compiled and options.device == "cpu" and not any(map(shutil.which, ("g++", "clang++"))):
        raise InputError("compile=1 needs a C++ compiler on the CPU", got="no g++ or clang++",
                         remedy="install one, or write compile=0")  # fmt: skip


def load_model(
    config: PretrainedConfig, device: str, precision: str, attention: str, seed: int
) -> torch.nn.Module:
    """Build the model with random weights of ``seed``, ready for inference.

    Parameters
    ----------
    attention
        Implementation of attention; ``auto`` takes sdpa where the architecture has it.

    Raises
    ------
    InputError
        If the architecture lacks that attention, takes no cache, or does not fit in memory.
    """
    import torch

    dtype: torch.dtype = getattr(torch, TYPES[precision])
    skeleton, attention = _skeleton(config, dtype, attention)
    check_weights(sum(p.numel() for p in skeleton.parameters()), dtype.itemsize, device)
    cache_argument(skeleton)
    gpus = [torch.cuda.current_device()] if device == "cuda" else []
    with torch.random.fork_rng(devices=gpus), torch.device(device):
        torch.manual_seed(seed)
        model = _build(config, dtype, attention)
    model = _quantised(model) if precision == "int8" else model
    _check_runs(model)
    return model


def cache_argument(model: torch.nn.Module) -> str:
    """Give the name under which ``forward`` takes its cache."""
    parameters = inspect.signature(model.forward).parameters
    for name in ("past_key_values", "cache_params", "cache"):  # the last since 5.24
        if name in parameters:
            return name
    raise InputError("the model must take a cache of keys and values or of states",
                     got=type(model).__name__,
                     remedy="give another architecture")  # fmt: skip


def last_logits_only(model: torch.nn.Module) -> dict[str, int]:
    """Give the argument that keeps logits of the last position only, if ``forward`` has it."""
    parameters = inspect.signature(model.forward).parameters
    names = ("logits_to_keep", "num_logits_to_keep")
    return {name: 1 for name in names if name in parameters}


def _skeleton(
    config: PretrainedConfig, dtype: torch.dtype, attention: str
) -> tuple[torch.nn.Module, str]:
    """Build the model without memory for weights; find out which attention it has."""
    import torch

    problem: BaseException | None = None
    for choice in ("sdpa", "eager") if attention == "auto" else (attention,):
        try:
            with torch.device("meta"):
                return _build(config, dtype, choice), choice
        except Exception as error:  # a configuration can be wrong in many ways
            problem = problem or error
    raise InputError(
        "transformers must be able to build the model with this attention",
        got=f"attention={attention}, {config.model_type} ({short(problem or ValueError())})",
        remedy="write attention=eager or leave it out; check the configuration",
    )


def _build(config: PretrainedConfig, dtype: torch.dtype, attention: str) -> torch.nn.Module:
    from transformers import AutoModelForCausalLM

    model: torch.nn.Module = AutoModelForCausalLM.from_config(
        config, dtype=dtype, attn_implementation=attention
    )
    return model.eval()


def _quantised(model: torch.nn.Module) -> torch.nn.Module:
    """Turn linear layers to int8 weights; activations are quantised as they come."""
    import torch

    config: Any = model.config
    unquantised = ("dt_proj", "lm_head") if config.model_type in READS_HEAD else ("dt_proj",)
    with quiet():
        from torch.ao.quantization import default_dynamic_qconfig, quantize_dynamic

        linear = [name for name, layer in model.named_modules()
                  if type(layer) is torch.nn.Linear and not name.endswith(unquantised)]  # fmt: skip
        chosen = dict.fromkeys(linear, default_dynamic_qconfig)
        quantised: torch.nn.Module = quantize_dynamic(model, chosen, torch.qint8, inplace=True)
    return quantised


def _check_runs(model: torch.nn.Module) -> None:
    """Run two tokens: int8 layers must do for the architecture, and it must fill its cache."""
    import torch
    from transformers import DynamicCache

    cache: Any = DynamicCache(config=model.config)
    ids = torch.zeros(1, 2, dtype=torch.long, device=next(model.parameters()).device)
    try:
        with torch.inference_mode(), quiet():
            model(input_ids=ids, use_cache=True, **{cache_argument(model): cache})
    except (AttributeError, TypeError, RuntimeError) as error:
        raise InputError("the architecture must run in this precision",
                         got=f"{type(model).__name__} ({short(error)})",
                         remedy="use f32 or bf16") from None  # fmt: skip
    if not any(cache.is_linear) and cache.get_seq_length() != 2:
        raise InputError("the model must keep keys and values of what it has seen",
                         got=f"{type(model).__name__}, which does not",
                         remedy="give the config of a decoder-only model")  # fmt: skip


@contextmanager
def quiet() -> Iterator[None]:
    """Keep to ourselves what torch announces about its own parts, such as torch.ao."""
    with warnings.catch_warnings():
        for kind in (DeprecationWarning, FutureWarning, UserWarning):
            warnings.simplefilter("ignore", kind)
        yield
