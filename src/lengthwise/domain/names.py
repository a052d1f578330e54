"""One key for the many spellings of a model name.

::

    meta-llama/Llama-3.1-8B-Instruct          llama-3.1-8b
    Meta-Llama-3.1-8B-Instruct-Q4_K_M.gguf    llama-3.1-8b
    qwen3moe 30B.A3B Q8_0                     qwen-3-30b-a3b
    DeepSeek-R1-0528-Qwen3-8B                 qwen-3-8b

A name is cut into words, versions and sizes. Organisation, format, tuning, date and context length
are set aside; every other part must match exactly. A word that is not known is taken for the name
of a finetune only where family and size of its base stand beside it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator

from lengthwise.domain.name_words import (
    CHANGING,
    CLEANUPS,
    NEUTRAL,
    ORGANISATIONS,
    QUANTISATION,
)

_TOKEN = re.compile(
    r"\d+x\d+(?:\.\d+)?b|\d+bx?\d+e?|a\d+(?:\.\d+)?b(?![a-z0-9])|\d+(?:\.\d+)?[bm](?![a-z0-9])"
    r"|\d+[ek](?![a-z0-9])|[a-z]\d+(?:\.\d+)?(?:[a-z]\d*)?(?![a-z0-9])|\d+(?:\.\d+)*|[a-z]+"
)
_SIZE = re.compile(r"\d+x\d+(?:\.\d+)?b|\d+bx?\d+e?|\d+(?:\.\d+)?b")
_SPARSE = re.compile(r"a\d+(?:\.\d+)?b|\d+x\d+(?:\.\d+)?b|oss")  # these are mixtures anyway
_NUMBER = re.compile(r"\d+(?:\.\d+)*")
_REVISION = re.compile(r"v\d+(?:\.\d+)?")
_RELEASE = re.compile(r"v0\.\d|v1(?:\.\d)?")
_DATE = re.compile(r"(?:2[3-9](?:0[1-9]|1[0-2])|(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])|20[12]\d{5})")
_CONTEXT = re.compile(r"\d+k|[1-9]\d?m")
_LONG_CONTEXT = re.compile(r"\d+k|[124]m")  # no model has so few parameters; 19m may be a size
_EXTENSION = re.compile(r"\.(?:gguf|json|safetensors|bin|pt|pth|onnx|engine|xml)$")
_FOLDER = re.compile(r"snapshots|resolve|blob|main|models?|config|[0-9a-f]{12,40}")


def model_key(name: str) -> str:
    """Reduce a model name to family, version and size, joined by hyphens.

    Parameters
    ----------
    name
        A name, with or without organisation, a file name or a path.

    Returns
    -------
    str
        Without organisation, tuning, date, context length and weight format; empty if nothing else
        is in the name.

    Examples
    --------
    >>> model_key("meta-llama/Llama-2-70b-hf"), model_key("llama2-70b")
    ('llama-2-70b', 'llama-2-70b')
    >>> model_key("ggml-org/Qwen3-Coder-30B-A3B-Instruct-Q8_0-GGUF")
    'qwen-3-30b-a3b'
    >>> model_key("qwen2.5-7b-instruct-q4_0-00001-of-00002.gguf")
    'qwen-2.5-7b'
    """
    return "-".join(_tokens(name))


def candidate_keys(name: str, families: Collection[str]) -> Iterator[str]:
    """Yield the keys a name may stand for, the most exact one first.

    Parameters
    ----------
    name
        As for :func:`model_key`.
    families
        Words that known keys consist of; other words may name a finetune.

    Yields
    ------
    str
        The key with minor versions (``v0.1``), without them, and that of the base of a finetune.

    Examples
    --------
    >>> list(candidate_keys("Hermes-3-Llama-3.1-8B", {"llama"}))
    ['hermes-3-llama-3.1-8b', 'llama-3.1-8b']
    >>> list(candidate_keys("Llama-3.1-8B-Mamba", {"llama"}))
    ['llama-3.1-8b-mamba']
    """
    tokens = _tokens(name)
    found = ["-".join(tokens), "-".join(_without_versions(tokens))]
    base = _base_of_finetune(tokens, families)
    if base is not None:
        found += ["-".join(base), "-".join(_without_versions(base))]
    yield from dict.fromkeys(key for key in found if key)


def _tokens(name: str) -> list[str]:
    """Cut the last part of a path that says anything into words, versions and sizes."""
    parts = re.split(r"[/\\]|--|__", name.strip().lower())
    for part in reversed(parts):
        text = _EXTENSION.sub("", part.strip())
        if text and not _FOLDER.fullmatch(text) and (tokens := _split(text)):
            return tokens
    return []


def _split(text: str) -> list[str]:
    """Cut a name without its path, and leave out what says nothing of the layers."""
    for pattern, replacement in CLEANUPS:
        text = pattern.sub(replacement, text)
    text = QUANTISATION.sub(" ", text)
    text = re.sub(r"(?<=\S) [a-d]$", "", text.strip())  # runs of one set-up, told apart by a letter
    tokens = [str(token) for token in _TOKEN.findall(_without_organisation(text))]
    sized = any(_SIZE.fullmatch(token) for token in tokens)
    sparse = any(_SPARSE.fullmatch(token) for token in tokens)
    return [
        token
        for token in tokens
        if token not in NEUTRAL
        and not _DATE.fullmatch(token)
        and not (_CONTEXT if sized else _LONG_CONTEXT).fullmatch(token)
        and not (token == "moe" and sparse)
    ]


def _without_organisation(text: str) -> str:
    """Leave out publishers in front of a name; ``qwen_qwen3`` and ``meta-llama_llama`` as well."""
    for separator in ("_", ".", "-", " "):
        head, found, rest = text.partition(separator)
        if found and head in ORGANISATIONS and ORGANISATIONS[head].match(rest):
            return _without_organisation(rest)
    return text


def _without_versions(tokens: list[str]) -> list[str]:
    """Leave out ``v0.3`` or ``v1``, which are releases of the same layers unless a key has them."""
    return [token for token in tokens if not _RELEASE.fullmatch(token)]


def _base_of_finetune(tokens: list[str], families: Collection[str]) -> list[str] | None:
    """Leave only the base in the name of a finetune; None if the name may change the layers."""
    whole, tokens = tokens, _after_teacher(tokens)
    sizes = [i for i, token in enumerate(tokens) if _SIZE.fullmatch(token)]
    if len(sizes) != 1 or CHANGING & set(tokens) - set(families):
        return None
    base: list[str] = []
    foreign = False  # the last word belongs to the finetune, and so does a number after it
    for i, token in enumerate(tokens):
        if token.isalpha():
            foreign = len(token) > 2 and token not in families
            if not foreign:
                base.append(token)
        elif foreign and i < sizes[0] and _NUMBER.fullmatch(token):
            foreign = False
        elif not (i > sizes[0] and _REVISION.fullmatch(token) and len(base) < len(tokens) - 1):
            base.append(token)
    return base if base != whole else None


def _after_teacher(tokens: list[str]) -> list[str]:
    """Leave out the teacher of a distilled model: ``deepseek r1 qwen 3 8b`` is a Qwen3."""
    if tokens[:2] == ["deepseek", "r1"] and {"llama", "qwen"} & set(tokens):
        return tokens[3:] if tokens[2] == "distill" else tokens[2:]
    if "llama" in tokens and "nemotron" in tokens:
        teacher = ("nemotron", "nano", "super", "ultra")
        return [token for token in tokens if token not in teacher]
    return tokens
