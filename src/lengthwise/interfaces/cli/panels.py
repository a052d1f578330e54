"""Help of a command in panels: deployment, workload, techniques, output.

With a law among the words (``lengthwise predict law.json --help``) only the options are shown that
this kind of law takes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from typer.core import TyperCommand

from lengthwise.data.law_files import LAW, STEP_LAW, law_kind
from lengthwise.interfaces.cli.config_file import check_keys, say_taken, values_for

ARGUMENTS, OPTIONS, TECHNIQUES = "Arguments", "Options", "Techniques"
MEMBERS = {
    "Deployment": (
        "model", "hardware", "engine", "engine_version", "precision", "kv_precision", "tp", "pp",
        "ep", "dp",
    ),
    "Workload": (
        "phase", "isl", "osl", "context_len", "batch_size", "concurrency", "request_rate",
        "cached_tokens", "prefill_chunk", "table",
    ),
    "Output": (
        "output", "force", "level", "plot", "plots", "title", "energy", "quiet", "as_json", "help",
    ),
}  # fmt: skip
"""Parameters of each panel; the others are plain options."""
ORDER = (ARGUMENTS, "Deployment", "Workload", "Engine", "Server", OPTIONS, TECHNIQUES, "Output")
NAMED = ("Deployment", "Engine", "Server")
"""Panels that a help text names before a colon."""
ONLY = {
    **dict.fromkeys(("kv_precision", "energy"), STEP_LAW),
    **dict.fromkeys(("request_rate", "prefill_chunk", "allow_extrapolation"), LAW),
}
"""Options of predict that one kind of law takes."""
_WORDS = "lengthwise.words"
_PANELS = {name: panel for panel, names in MEMBERS.items() for name in names}


class PanelCommand(TyperCommand):
    """Command whose help has panels, and whose options take defaults from a configuration file."""

    techniques = False
    """Whether every technique is an option as well (:mod:`.knob_options`)."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words, and what the configuration file says where they say nothing."""
        ctx.meta[_WORDS] = list(args)
        ctx.default_map = check_keys(values_for(ctx), self.name, self.get_params(ctx))
        rest: list[str] = super().parse_args(ctx, args)
        say_taken(ctx)
        return rest

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the panels; one without options is left out."""
        kind = _kind_of(ctx.meta.get(_WORDS, ())) if self.name == "predict" else None
        panels: dict[str, list[tuple[str, str]]] = {name: [] for name in ORDER}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None and kind in (None, ONLY.get(parameter.name, kind)):
                panel, record = _panel_of(parameter, record)
                panels[panel].append(record)
        if self.techniques and kind in (None, STEP_LAW):
            panels[TECHNIQUES] = list(_techniques({o for p in self.params for o in p.opts}))
        for name, records in panels.items():
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)


def _panel_of(parameter: Any, record: tuple[str, str]) -> tuple[str, tuple[str, str]]:
    """Find the panel of a parameter; ``Engine:`` and the like before a help text name theirs."""
    if parameter.param_type_name == "argument":
        return ARGUMENTS, record
    head, colon, rest = record[1].partition(": ")
    if colon and head in NAMED:
        return head, (record[0], rest[:1].upper() + rest[1:])
    return _PANELS.get(parameter.name, OPTIONS), record


def _kind_of(words: Sequence[str]) -> str | None:
    """Tell which kind of law the words are about; None if they leave it open."""
    kinds = (law_kind(word) for word in words if not word.startswith("-"))
    options = {word.partition("=")[0] for word in words}
    zero_shot = STEP_LAW if {"--model", "--hardware"} <= options else None
    return next((kind for kind in kinds if kind), zero_shot)


def _techniques(taken: Collection[str]) -> Iterator[tuple[str, str]]:
    from lengthwise.formulations.step.knobs.registry import knobs

    families: dict[str, list[str]] = {}
    for knob in knobs():
        if knob.option in taken:
            continue
        families.setdefault(knob.family, []).append(knob.option)
    yield from ((family, ", ".join(options)) for family, options in families.items())
    yield "all of them", "of the step law; lengthwise explain --knobs says what each one does"
