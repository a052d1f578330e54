"""The product's own family: base + E1 (nonlinear) + E2 (scaling) + E3 (correction)."""

from lengthwise.formulations.hachiya_patias.family import HachiyaPatias

__all__ = ["HachiyaPatias"]
