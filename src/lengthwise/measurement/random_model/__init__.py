"""Models with random weights and real shapes: latency does not depend on the values of weights."""

from lengthwise.measurement.random_model.gguf_file import write_gguf
from lengthwise.measurement.random_model.shape import PRESETS, DecoderShape, shape_of

__all__ = ["PRESETS", "DecoderShape", "shape_of", "write_gguf"]
