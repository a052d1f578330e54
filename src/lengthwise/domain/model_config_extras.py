"""Parameters beside the decoder's matrices: norms, biases, vision tower, prediction modules."""

from __future__ import annotations

from lengthwise.domain.blocks import prediction_modules
from lengthwise.domain.layers import Attention, Experts, Layer
from lengthwise.domain.model_config_values import Values
from lengthwise.errors import InputError


def norms_and_biases(config: Values, hidden: int, blocks: tuple[Layer, ...]) -> int:
    """Count norms, and biases where attention (and with it, in gpt-oss, experts) has them.

    >>> norms_and_biases(Values({}, "m"), 4096, (Layer(32, None, None),))
    4096
    """
    total = hidden
    biased = config.flag("attention_bias")
    for block in blocks:
        mixer = block.mixer
        one = hidden * ((mixer is not None) + (block.ffn is not None))
        if biased and isinstance(mixer, Attention):
            one += sum(gemm.n for gemm in mixer.projections)
        if biased and isinstance(block.ffn, Experts):
            one += block.ffn.experts * (2 * block.ffn.inner + hidden)
        total += block.count * one
    return total


def per_layer_tables(config: Values, hidden: int, layers: int) -> int:
    """Count the small embedding that some models look up anew in each layer (Gemma 3n and 4)."""
    width = config.size("hidden_size_per_layer_input", default=0, least=0)
    if not width:
        return 0
    rows = config.size("vocab_size_per_layer_input", "vocab_size")
    return rows * layers * width + 3 * layers * hidden * width


def vision(outer: Values, hidden: int) -> int:
    """Count a vision tower and its projector, as far as the configuration describes them.

    Layers of a vision transformer have four attention matrices and two (gated: three) of the
    feed-forward part; the projector maps merged patches to the width of the text model.
    """
    tower = outer.mapping("vision_config")
    try:
        return _tower(tower, hidden) if tower is not None else 0
    except InputError:  # described in a way of its own; no step depends on it
        return 0


def _tower(tower: Values, hidden: int) -> int:
    depth = tower.size("depth", "num_hidden_layers", "vt_num_hidden_layers", default=0, least=0)
    width = tower.size("hidden_size", "vt_hidden_size", default=0, least=0)
    if not depth or not width:
        return 0
    inner = tower.size("intermediate_size", "vt_intermediate_size", default=4 * width)
    query = tower.size("qkv_hidden_size", default=width)
    gated = tower.text("model_type").startswith("gemma4")
    layer = 4 * width * query + (3 if gated else 2) * width * inner + 4 * width
    patch = tower.size("patch_size", default=14)
    frames = tower.size("temporal_patch_size", default=1)
    patches = 3 * patch * patch * frames * width
    places = tower.size("num_position_embeddings", default=0, least=0)
    places = places or 2 * tower.size("position_embedding_size", default=0, least=0)
    if not places and tower.get("init_pos_emb_height") is not None:
        places = tower.size("init_pos_emb_height") * tower.size("init_pos_emb_width")
    return depth * layer + patches + places * width + _projector(tower, width, hidden)


def _projector(tower: Values, width: int, hidden: int) -> int:
    if tower.get("pooling_kernel_size") is not None:
        return width * hidden
    sides = tower.listing("merge_kernel_size") or []
    merge = tower.size("spatial_merge_size", default=tower.whole(sides[0], "merge") if sides else 2)
    merged = width * merge * merge
    count = 1 + len(tower.listing("deepstack_visual_indexes") or [])
    return count * (merged * merged + merged * tower.size("out_hidden_size", default=hidden))


def draft(config: Values, hidden: int, blocks: tuple[Layer, ...]) -> int:
    """Count the multi-token-prediction modules."""
    keys = ("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules")
    return prediction_modules(config.size(*keys, default=0, least=0), hidden, blocks)
