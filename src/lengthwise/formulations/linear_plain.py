r"""Plain linear law: a straight line by ordinary least squares, as a spreadsheet draws it.

The columns of `linear`, with residuals in seconds: the longest prompts decide, and short ones may
be off by a large factor. Coefficients are not negative.
"""

from __future__ import annotations

from typing import ClassVar

from lengthwise.formulations.linear import Linear


class LinearPlain(Linear):
    """Affine in tokens, fitted to seconds rather than to ratios.

    Examples
    --------
    >>> import pandas as pd
    >>> X = pd.DataFrame({"phase": "prefill", "isl": [128, 256, 512]})
    >>> law = LinearPlain().fit(X, [0.02, 0.03, 0.06])
    >>> law.predict(X.assign(isl=1024)).round(4).tolist()[0]
    0.1136
    """

    name: ClassVar[str] = "linear-plain"
    citation: ClassVar[str] = "ordinary least squares with coefficients that are not negative"
    relative: ClassVar[bool] = False
