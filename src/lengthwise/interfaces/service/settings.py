"""Settings of the service, from options or from the environment.

The environment has the names that llm-d's chart sets (``LATENCY_*``, ``PREDICT_*``,
``TRAINING_SERVER_URL``, ``MODEL_SYNC_INTERVAL_SEC``, ``UVICORN_WORKERS``) and our own
(``LENGTHWISE_*``). What a variable means to us stands beside it in ``_READERS``; a variable of the
contract that has no meaning here (scaler paths, bucket sizes) is ignored.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lengthwise.errors import InputError

ROLES = ("both", "training", "prediction")
OBJECTIVES = ("mean", "quantile")
MODEL_TYPES = ("lightgbm", "xgboost", "bayesian_ridge")
TOKEN_ROLES = ("read", "write")
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class ServiceSettings:
    """Everything a worker and the trainer need to know.

    Parameters
    ----------
    state
        Directory of the database, the lock of the trainer and the last good law.
    database
        ``postgresql://...`` for several replicas; empty for SQLite in the state directory.
    role
        ``both``; ``training`` learns and hands out laws; ``prediction`` follows a trainer by HTTP.
    llm_d
        Answer the endpoints of llm-d's two servers too.
    objective, alpha
        What llm-d's endpoints predict: the mean, or the quantile ``alpha``.
    model_type
        What llm-d is told the model is; its client knows three names.
    sync_s, train_every_s
        Seconds between looks for a new law, and between rounds of training.
    min_rows
        Observations of a target before its law may call itself ready.
    unready_503
        Refuse to predict until the error is known, so that a router falls back.
    max_rows, max_body_bytes, rate_per_s
        Limits of one request, and requests a second of one client (0: no limit).
    tokens
        Bearer token to role, ``read`` or ``write``; empty: no token is asked for.
    keep_rows, keep_days
        Observations kept after training has used them.

    Examples
    --------
    >>> ServiceSettings(state=Path("s")).with_options(port=9000).port
    9000
    """

    state: Path
    database: str = field(default="", repr=False)
    role: str = "both"
    llm_d: bool = False
    objective: str = "mean"
    alpha: float = 0.9
    model_type: str = "lightgbm"
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    trainer_url: str = ""
    trainer_token: str = field(default="", repr=False)
    sync_s: float = 1.0
    train_every_s: float = 1.0
    min_rows: int = 100
    unready_503: bool = False
    max_rows: int = 10_000
    max_body_bytes: int = 64 << 20
    rate_per_s: float = 0.0
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls_cert: Path | None = None
    tls_key: Path | None = None
    seed_law: Path | None = None
    live_page: bool = True
    log_requests: bool = False
    http_timeout_s: float = 30.0
    ensemble_mode: bool = True
    min_samples_for_split: int = 200
    keep_rows: int = 1_000_000
    keep_days: float = 14.0

    def __post_init__(self) -> None:
        for rule, name in _broken(self):
            value = "(hidden)" if name == "tokens" else repr(getattr(self, name))
            raise InputError(f"{name} must be {rule}", got=value,
                             remedy="see lengthwise serve --help")  # fmt: skip

    @property
    def has_store(self) -> bool:
        """Whether this process takes observations (a pure prediction replica does not)."""
        return self.role != "prediction"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the service."""
        return self.host in LOOPBACK

    @property
    def url(self) -> str:
        """Where the service answers."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'https' if self.tls_cert else 'http'}://{host}:{self.port}"

    def with_options(self, **options: Any) -> ServiceSettings:
        """Replace the settings that are given (None means: not given)."""
        return replace(self, **{k: v for k, v in options.items() if v is not None})

    def to_json(self) -> str:
        """Write as JSON for a process we start; holds secrets, so it goes through a pipe."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, text: str) -> ServiceSettings:
        """Read what :meth:`to_json` wrote."""
        data = json.loads(text)
        for name in ("state", "tls_cert", "tls_key", "seed_law"):
            data[name] = None if data[name] is None else Path(data[name])
        return cls(**data)

    @classmethod
    def from_environment(
        cls, env: Mapping[str, str] | None = None, **options: Any
    ) -> ServiceSettings:
        """Read the environment; ``options`` that are not None win over it.

        Raises
        ------
        InputError
            If a variable holds a value it must not hold.

        Examples
        --------
        >>> env = {"LATENCY_OBJECTIVE_TYPE": "quantile", "LATENCY_QUANTILE_ALPHA": "0.95"}
        >>> ServiceSettings.from_environment(env).alpha
        0.95
        """
        env = os.environ if env is None else env
        found: dict[str, Any] = {}
        for name, (target, read) in _READERS.items():
            text = env.get(name, "").strip()
            if text:
                found[target] = _read(name, text, read)
        found.update({k: v for k, v in options.items() if v is not None})
        found.setdefault("state", default_state(env))
        return cls(**found)


def default_state(env: Mapping[str, str]) -> Path:
    """Choose a directory the user may write to: ``$XDG_STATE_HOME``, home, or the temporary one.

    >>> str(default_state({"XDG_STATE_HOME": "/var/state"}))
    '/var/state/lengthwise'
    """
    if env.get("XDG_STATE_HOME"):
        return Path(env["XDG_STATE_HOME"]) / "lengthwise"
    home = env.get("HOME", "")
    if home and home != "/" and os.access(home, os.W_OK):
        return Path(home) / ".local" / "state" / "lengthwise"
    return Path(env.get("TMPDIR", "/tmp")) / "lengthwise"  # an arbitrary uid without a home


def read_tokens(text: str, where: str) -> dict[str, str]:
    """Read tokens, one ``TOKEN:ROLE`` per line or comma; ``#`` begins a comment line.

    >>> read_tokens("secret:write, other:read", "here")
    {'secret': 'write', 'other': 'read'}
    """
    found: dict[str, str] = {}
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    for number, part in enumerate((p.strip() for line in lines for p in line.split(",")), 1):
        if not part:
            continue
        token, colon, role = part.rpartition(":")
        if not colon or not token or role not in TOKEN_ROLES:
            raise InputError(f"a token must be TOKEN:ROLE with role {' or '.join(TOKEN_ROLES)}",
                             got=f"entry {number} of {where}",
                             remedy="write for example 4f0c...:write")  # fmt: skip
        found[token] = role
    return found


def _broken(s: ServiceSettings) -> list[tuple[str, str]]:
    """Rules that do not hold, with the name of the setting."""
    checks = [
        (s.role in ROLES, "one of " + ", ".join(ROLES), "role"),
        (s.objective in OBJECTIVES, "mean or quantile", "objective"),
        (0 < s.alpha < 1, "between 0 and 1", "alpha"),
        (s.model_type in MODEL_TYPES, "one of " + ", ".join(MODEL_TYPES), "model_type"),
        (bool(s.host), "an address", "host"),
        (0 <= s.port < 65536, "a port, 0 to 65535", "port"),
        (1 <= s.workers <= 1024, "1 to 1024", "workers"),
        (0 < s.sync_s < 86400, "seconds above 0", "sync_s"),
        (0 < s.train_every_s < 86400, "seconds above 0", "train_every_s"),
        (0 < s.http_timeout_s < 86400, "seconds above 0", "http_timeout_s"),
        (s.min_rows >= 1, "at least 1", "min_rows"),
        (s.max_rows >= 1, "at least 1", "max_rows"),
        (s.max_body_bytes >= 1024, "at least 1024", "max_body_bytes"),
        (0 <= s.rate_per_s < math.inf, "0 (no limit) or more", "rate_per_s"),
        (set(s.tokens.values()) <= set(TOKEN_ROLES), "tokens of role read or write", "tokens"),
        ((s.tls_cert is None) == (s.tls_key is None), "given with the key", "tls_cert"),
        (s.keep_rows >= 0, "0 or more", "keep_rows"),
        (s.keep_days > 0, "above 0", "keep_days"),
        (s.role != "prediction" or _is_http(s.trainer_url),
         "the http(s) URL of a trainer in the prediction role", "trainer_url"),
    ]  # fmt: skip
    return [(rule, name) for holds, rule, name in checks if not holds]


def _is_http(url: str) -> bool:
    return url.startswith(("http://", "https://"))


def _read(name: str, text: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(text)
    except InputError:
        raise
    except (ValueError, OSError) as error:
        shown = "(hidden)" if "TOKEN" in name else repr(text[:80])
        raise InputError(f"the environment variable {name} must hold a value it can have",
                         got=f"{shown} ({error})"[:200],
                         remedy=f"correct or unset {name}") from None  # fmt: skip


def _bool(text: str) -> bool:
    known = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False,
             "no": False, "off": False}  # fmt: skip
    if text.lower() not in known:
        raise ValueError("true or false")
    return known[text.lower()]


def _url(text: str) -> str:
    if not _is_http(text):
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
    "LENGTHWISE_MAX_ROWS": ("max_rows", int),
    "LENGTHWISE_MAX_BODY_BYTES": ("max_body_bytes", int),
    "LENGTHWISE_RATE_PER_S": ("rate_per_s", float),
    "LENGTHWISE_TOKENS": ("tokens", lambda text: read_tokens(text, "LENGTHWISE_TOKENS")),
    "LENGTHWISE_TLS_CERT": ("tls_cert", Path),
    "LENGTHWISE_TLS_KEY": ("tls_key", Path),
    "LENGTHWISE_SEED_LAW": ("seed_law", Path),
    "LENGTHWISE_LIVE_PAGE": ("live_page", _bool),
    "LENGTHWISE_LOG_REQUESTS": ("log_requests", _bool),
    "LENGTHWISE_KEEP_ROWS": ("keep_rows", int),
    "LENGTHWISE_KEEP_DAYS": ("keep_days", float),
}
"""Variable to setting and how it is read; of two variables for one setting the later wins."""
