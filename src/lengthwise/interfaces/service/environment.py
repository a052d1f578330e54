"""Settings from environment variables: what each means to us and how it is read."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lengthwise.errors import InputError
from lengthwise.interfaces.service.addresses import is_http
from lengthwise.interfaces.service.limits import LIMITS
from lengthwise.interfaces.service.tokens import read_tokens

TOKENS = "LENGTHWISE_TOKENS"
_SECRET = ("TOKEN", "URL", "DATABASE")
"""Parts of the names of variables whose value may be secret."""


def read_environment(env: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings that the environment names.

    Raises
    ------
    InputError
        If a variable holds a value it must not hold, or a list of tokens is there and empty.

    Examples
    --------
    >>> read_environment({"PREDICT_PORT": "8001", "LENGTHWISE_MAX_ROWS": "5"})
    {'port': 8001, 'max_rows': 5}
    """
    found: dict[str, Any] = {}
    for name, (target, read) in _READERS.items():
        text = env.get(name, "").strip()
        if text or (name == TOKENS and name in env):
            found[target] = _read(name, text, read)
    return found


def default_state(env: Mapping[str, str]) -> Path:
    """Return a directory the user may write to: ``$XDG_STATE_HOME``, home, or the temporary one.

    >>> str(default_state({"XDG_STATE_HOME": "/var/state"}))
    '/var/state/lengthwise'
    """
    if env.get("XDG_STATE_HOME"):
        return Path(env["XDG_STATE_HOME"]) / "lengthwise"
    home = env.get("HOME", "")
    if home and home != "/" and os.access(home, os.W_OK):
        return Path(home) / ".local" / "state" / "lengthwise"
    return Path(env.get("TMPDIR", "/tmp")) / "lengthwise"  # an arbitrary uid without a home


def words(text: str) -> tuple[str, ...]:
    """Return the words of a list with commas or spaces.

    >>> words("10.0.0.1, 10.1.0.0/16")
    ('10.0.0.1', '10.1.0.0/16')
    """
    return tuple(text.replace(",", " ").split())


def _read(name: str, text: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(text)
    except InputError:
        raise
    except (ValueError, OSError) as error:
        shown = f"{text[:80]!r} ({error})"[:200]
        if any(part in name for part in _SECRET):
            shown = f"(hidden) {error}" if "URL" in name else "(hidden)"
        raise InputError(f"the environment variable {name} must hold a value it can have",
                         got=shown, remedy=f"correct or unset {name}") from None  # fmt: skip


def _bool(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False,
             "no": False, "off": False}  # fmt: skip
    if text.lower() not in known:
        raise ValueError("true or false")
    return known[text.lower()]


def _url(text: str) -> str:
    if not is_http(text):
        raise ValueError("a URL beginning with http:// or https://")
    return text.rstrip("/")


def _parent(text: str) -> Path:
    return Path(text).parent


_READERS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "LOCAL_TTFT_MODEL_PATH": ("state", _parent),
    "LATENCY_TTFT_MODEL_PATH": ("state", _parent),
    "LATENCY_MODEL_TYPE": ("model_type", str),
    "LATENCY_QUANTILE_ALPHA": ("alpha", float),
    "LATENCY_OBJECTIVE_TYPE": ("objective", str),
    "LATENCY_RETRAINING_INTERVAL_SEC": ("train_every_s", float),
    "LATENCY_MIN_SAMPLES_FOR_RETRAIN": ("min_rows", int),
    "LATENCY_MIN_SAMPLES_FOR_RETRAIN_FRESH": ("min_rows", int),
    "LATENCY_ENSEMBLE_MODE": ("ensemble_mode", _bool),
    "LATENCY_MIN_SAMPLES_FOR_ENSEMBLE_SPLIT": ("min_samples_for_split", int),
    "MODEL_SYNC_INTERVAL_SEC": ("sync_s", float),
    "TRAINING_SERVER_URL": ("trainer_url", _url),
    "PREDICT_HOST": ("host", str),
    "PREDICT_PORT": ("port", int),
    "HTTP_TIMEOUT": ("http_timeout_s", float),
    "UVICORN_WORKERS": ("workers", int),
    "LENGTHWISE_STATE": ("state", Path),
    "LENGTHWISE_DATABASE": ("database", str),
    "LENGTHWISE_ROLE": ("role", str),
    "LENGTHWISE_LLM_D": ("llm_d", _bool),
    "LENGTHWISE_TRAINER_TOKEN": ("trainer_token", str),
    "LENGTHWISE_UNREADY_503": ("unready_503", _bool),
    TOKENS: ("tokens", lambda text: read_tokens(text, TOKENS)),
    "LENGTHWISE_HOSTS": ("hosts", words),
    "LENGTHWISE_TRUSTED_PROXIES": ("trusted_proxies", words),
    "LENGTHWISE_TLS_CERT": ("tls_cert", Path),
    "LENGTHWISE_TLS_KEY": ("tls_key", Path),
    "LENGTHWISE_SEED_LAW": ("seed_law", Path),
    "LENGTHWISE_LIVE_PAGE": ("live_page", _bool),
    "LENGTHWISE_LOG_REQUESTS": ("log_requests", _bool),
    **{limit.variable: (limit.name, limit.kind) for limit in LIMITS},
}
"""Variable to setting and how it is read; of two variables for one setting the later wins."""
