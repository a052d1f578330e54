"""Check a formulation of your own against the contract of the built-in ones.

>>> from lengthwise.testing import check_formulation
>>> from lengthwise.formulations.power import Power
>>> check_formulation(Power(), phases=["prefill"])
"""

from lengthwise.testing.case import Case
from lengthwise.testing.contract import check_formulation, yield_checks

__all__ = ["Case", "check_formulation", "yield_checks"]
