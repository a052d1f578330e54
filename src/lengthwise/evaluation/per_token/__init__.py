"""The per-token study of the thesis: its protocol, what spoils its figures, what features buy."""

from lengthwise.evaluation.per_token.result import PerTokenStudy, SubjectStudy
from lengthwise.evaluation.per_token.study import per_token_study

__all__ = ["PerTokenStudy", "SubjectStudy", "per_token_study"]
