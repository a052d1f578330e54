"""Settings of the service, from options or from the environment.

The environment has the names that llm-d's chart sets (``LATENCY_*``, ``PREDICT_*``,
``TRAINING_SERVER_URL``, ``MODEL_SYNC_INTERVAL_SEC``, ``UVICORN_WORKERS``) and our own
(``LENGTHWISE_*``). What a variable means to us stands beside it in :mod:`environment`, limits in
:mod:`limits`; a variable of the contract that has no meaning here (scaler paths, bucket sizes) is
ignored.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from lengthwise.errors import InputError
from lengthwise.interfaces.service.addresses import (
    is_http,
    is_loopback,
    is_network,
    without_secrets,
)
from lengthwise.interfaces.service.environment import default_state, read_environment
from lengthwise.interfaces.service.limits import broken_limits
from lengthwise.interfaces.service.tokens import TOKEN_ROLES, is_token

ROLES = ("both", "training", "prediction")
OBJECTIVES = ("mean", "quantile")
MODEL_TYPES = ("lightgbm", "xgboost", "bayesian_ridge")
HIDDEN = ("tokens", "trainer_url", "database", "trainer_token")
"""Settings whose value may be secret."""


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
    tokens
        Bearer token to role, ``read`` or ``write``; empty: no token is asked for.
    hosts
        Names by which the service may be called (header ``Host``), ``*`` for any; empty: those of
        loopback when it listens on loopback, else any.
    trusted_proxies
        Addresses and networks whose ``X-Forwarded-For`` says who asks; empty: nobody's.
    rate_per_s
        Requests a second of one client (0: no limit), over all workers.
    keep_rows, keep_days
        Observations kept after training has used them.

    All others are limits, described in :data:`lengthwise.interfaces.service.limits.LIMITS`.

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
    trainer_url: str = field(default="", repr=False)
    trainer_token: str = field(default="", repr=False)
    sync_s: float = 1.0
    train_every_s: float = 1.0
    min_rows: int = 100
    unready_503: bool = False
    max_rows: int = 10_000
    max_row_bytes: int = 16 << 10
    max_body_bytes: int = 16 << 20
    max_law_bytes: int = 4 << 20
    max_held_bytes: int = 64 << 20
    max_line_bytes: int = 8 << 10
    max_head_bytes: int = 32 << 10
    max_headers: int = 100
    head_timeout_s: float = 30.0
    body_timeout_s: float = 30.0
    keep_alive_s: float = 75.0
    max_connections: int = 1000
    wrong_tokens_per_s: float = 1.0
    rate_per_s: float = 0.0
    tokens: Mapping[str, str] = field(default_factory=dict, repr=False)
    hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
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
    keep_rejected: int = 10_000

    def __post_init__(self) -> None:
        for rule, name in (*_broken(self), *broken_limits(self)):
            value = "(hidden)" if name in HIDDEN else repr(getattr(self, name))
            raise InputError(f"{name} must be {rule}", got=value,
                             remedy="see lengthwise serve --help")  # fmt: skip

    @property
    def has_store(self) -> bool:
        """Whether this process takes observations (a pure prediction replica does not)."""
        return self.role != "prediction"

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the service."""
        return is_loopback(self.host)

    @property
    def trainer_place(self) -> str:
        """Address of the trainer without what is secret in it."""
        return without_secrets(self.trainer_url) if self.trainer_url else ""

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
        for name in ("hosts", "trusted_proxies"):
            data[name] = tuple(data[name])
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
        found = read_environment(env)
        found.update({k: v for k, v in options.items() if v is not None})
        found.setdefault("state", default_state(env))
        return cls(**found)


def _broken(s: ServiceSettings) -> list[tuple[str, str]]:
    """Rules that do not hold, with the name of the setting."""
    checks = [
        (s.role in ROLES, "one of " + ", ".join(ROLES), "role"),
        (s.objective in OBJECTIVES, "mean or quantile", "objective"),
        (1e-6 <= s.alpha <= 1 - 1e-6, "between 0 and 1 (from 1e-6 to 1 - 1e-6)", "alpha"),
        (s.model_type in MODEL_TYPES, "one of " + ", ".join(MODEL_TYPES), "model_type"),
        (bool(s.host), "an address", "host"),
        (0 <= s.port < 65536, "a port, 0 to 65535", "port"),
        (1 <= s.workers <= 1024, "1 to 1024", "workers"),
        (0 < s.sync_s < 86400, "seconds above 0", "sync_s"),
        (0 < s.train_every_s < 86400, "seconds above 0", "train_every_s"),
        (0 < s.http_timeout_s < 86400, "seconds above 0", "http_timeout_s"),
        (s.min_rows >= 1, "at least 1", "min_rows"),
        (set(s.tokens.values()) <= set(TOKEN_ROLES), "tokens of role read or write", "tokens"),
        (all(map(is_token, s.tokens)), "tokens of visible characters", "tokens"),
        (all(map(is_network, s.trusted_proxies)), "addresses or networks", "trusted_proxies"),
        (all(s.hosts), "names of hosts", "hosts"),
        ((s.tls_cert is None) == (s.tls_key is None), "given with the key", "tls_cert"),
        (s.role != "prediction" or is_http(s.trainer_url),
         "the http(s) URL of a trainer in the prediction role", "trainer_url"),
    ]  # fmt: skip
    return [(rule, name) for holds, rule, name in checks if not holds]
