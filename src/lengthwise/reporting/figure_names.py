"""Names of the files that figures of a report are written to."""

from __future__ import annotations

import re

from lengthwise.reporting.content import Content
from lengthwise.reporting.figures.chart import Bars, Chart

NAMED_BY = 2
"""Parts of a deployment that name a file: its model and hardware."""


def named_figures(content: Content) -> dict[str, Chart | Bars]:
    """Return all figures by a name that says what they show, without suffix.

    The number in front is that of the deployment and phase on the page.
    """
    terms = content.terms_figure
    figures = [*content.overview, *([terms] if terms else [])]
    named = {f"overview-{slug(figure.title)}": figure for figure in figures}
    for i, group in enumerate(content.groups, start=1):
        about = slug(" ".join(group.deployment.split(" | ")[:NAMED_BY]))
        for chart in group.charts:
            what = chart.title.removeprefix(group.phase)
            named[f"{i:02d}-{about}-{group.phase}-{slug(what)}"] = chart
    return named


def slug(text: str) -> str:
    """Make a text fit for the name of a file.

    >>> slug("Llama-3.1 70B, batch 1"), slug("measured / predicted")
    ('llama-3.1-70b-batch-1', 'measured-predicted')
    """
    return re.sub(r"[^\w.]+", "-", text.lower()).strip("-.")[:80]
