"""Models as llm-d's training server hands them out: here one law, as JSON, never a pickle.

Both targets are parts of one law, so `ttft` and `tpot` are the same artifact. There are no scalers
and no gated models; where the client insists on a list of trees it gets an empty one.
"""

from __future__ import annotations

import io
import json
import tarfile
from hashlib import sha256
from time import time
from typing import Any

from lengthwise.interfaces.http.context import NOT_READY, Context, when
from lengthwise.interfaces.http.exchange import IN_THREAD, Call, Reply, Route, reply, text
from lengthwise.interfaces.http.influence import described, influences
from lengthwise.interfaces.http.problems import HttpError

TARGETS = ("ttft", "tpot")
NAMES = ("ttft", "tpot", "ttft_scaler", "tpot_scaler", "ttft_gated", "tpot_gated")


class LlmdModels:
    """Handlers of what concerns models.

    Parameters
    ----------
    context
        Settings, store and law.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def _artifact(self) -> tuple[bytes, float]:
        """Give the law as JSON and when it was made."""
        current = self._context.current
        found = self._context.kept.active()
        if found is None or found[2] is None:
            return json.dumps(current.law.to_dict()).encode(), current.loaded_s or time()
        return found[2].encode(), current.loaded_s or time()

    def _known(self, name: str) -> str:
        if name not in TARGETS:
            raise HttpError(404, "a model must be ttft or tpot", got=name[:100],
                            detail=f"Model {name[:100]} not found")  # fmt: skip
        return name

    def download_info(self, call: Call) -> Reply:
        """Tell which models there are and where."""
        settings, ready = self._context.settings, self._context.is_ready
        endpoints = {
            f"{target}_{what}": f"/model/{target}/{path}"
            for target in TARGETS
            for what, path in (("info", "info"), ("download", "download"), *self._texts())
        }
        return reply(
            {
                "model_type": settings.model_type,
                "objective_type": settings.objective,
                "quantile": settings.alpha,
                "available_endpoints": {
                    **endpoints, "export": "/model/export", "laws": "/v1/laws",
                },
                "model_status": {f"{target}_model_ready": ready for target in TARGETS},
                "evaluation_info": self._evaluation(),
            }
        )  # fmt: skip

    def _texts(self) -> list[tuple[str, str]]:
        kind = self._context.settings.model_type
        if kind == "xgboost":
            return [("trees", "xgb/json")]
        return (
            [("text", "lgb/txt"), ("importances", "lgb/importances")] if kind == "lightgbm" else []
        )

    def _evaluation(self) -> dict[str, Any]:
        law = self._context.current.law
        return {
            "quantile_alpha": self._context.settings.alpha,
            "objective_type": self._context.settings.objective,
            **{f"{t}_median_relative_error": law.error.get(t) for t in TARGETS},
            **{f"{t}_rows_learnt": law.learnt.get(t, 0) for t in TARGETS},
        }

    def listed(self, call: Call) -> Reply:
        """List the models."""
        body, made_s = self._artifact()
        absent = {"exists": False, "size_bytes": 0, "last_modified": None}
        present = {"exists": True, "size_bytes": len(body), "last_modified": when(made_s)}
        return reply(
            {
                "models": {name: present if name in TARGETS else absent for name in NAMES},
                "model_type": self._context.settings.model_type,
                "quantile": self._context.settings.alpha,
                "server_time": when(time()),
                "evaluation_metrics": self._evaluation(),
            }
        )

    def info(self, call: Call) -> Reply:
        """Describe one model."""
        name = self._known(call.names["name"])
        body, made_s = self._artifact()
        return reply(
            {
                "model_name": name,
                "path": f"{name}.json",
                "size_bytes": len(body),
                "last_modified": when(made_s),
                "exists": True,
                "model_type": self._context.settings.model_type,
                "quantile": self._context.settings.alpha,
            }
        )

    def download(self, call: Call) -> Reply:
        """Give the law as JSON, its checksum beside it."""
        name = self._known(call.names["name"])
        body, _ = self._artifact()
        return Reply(
            body, 200, b"application/octet-stream",
            ((b"content-disposition", f'attachment; filename="{name}.json"'.encode()),
             (b"x-checksum-sha256", sha256(body).hexdigest().encode())),
        )  # fmt: skip

    def trees(self, call: Call) -> Reply:
        """Give the trees a client of type xgboost asks for: there are none."""
        self._known(call.names["name"])
        self._only("xgboost")
        return reply([])

    def lgb_text(self, call: Call) -> Reply:
        """Say in plain text what the law is."""
        name = self._known(call.names["name"])
        self._only("lightgbm")
        return text(described(self._context.current.law, name, self._artifact()[0].decode()))

    def importances(self, call: Call) -> Reply:
        """Tell how much each field moves the prediction."""
        name = self._known(call.names["name"])
        self._only("lightgbm")
        return reply(influences(self._context.current.law, name))

    def _only(self, kind: str) -> None:
        if self._context.settings.model_type != kind:
            raise HttpError(
                404, f"the announced model type must be {kind}",
                got=self._context.settings.model_type,
                detail=f"Model is not of type {kind}",
            )  # fmt: skip

    def export(self, call: Call) -> Reply:
        """Give the law and facts about it as one archive."""
        if not self._context.is_ready:
            raise HttpError(503, "the error of the law must be known", detail=NOT_READY)
        body, made_s = self._artifact()
        counts = self._context.kept.counts()
        facts = {
            "model_type": self._context.settings.model_type,
            "quantile_alpha": self._context.settings.alpha,
            "objective_type": self._context.settings.objective,
            "exported_at": when(time()),
            "ttft_samples": counts["ttft"],
            "tpot_samples": counts["tpot"],
            "law_version": self._context.current.law.version,
            "law_sha256": sha256(body).hexdigest(),
        }
        packed = _archive(
            {"law.json": body, "metadata.json": json.dumps(facts, indent=1).encode()}, made_s
        )
        return Reply(
            packed, 200, b"application/gzip",
            ((b"content-disposition", b'attachment; filename="models.tar.gz"'),),
        )  # fmt: skip

    def routes(self) -> list[Route]:
        """All endpoints here."""

        def route(path: str, handler: Any, summary: str) -> Route:
            return Route("GET", path, handler, summary, IN_THREAD, tag="llm-d")

        return [
            route("/model/download/info", self.download_info, "Models and where they are"),
            route("/models/list", self.listed, "Models"),
            route("/model/export", self.export, "Law and metadata as one archive"),
            route("/model/{name}/info", self.info, "One model"),
            route("/model/{name}/download", self.download, "The law as JSON"),
            route("/model/{name}/xgb/json", self.trees, "Trees (none)"),
            route("/model/{name}/lgb/txt", self.lgb_text, "The law in plain text"),
            route("/model/{name}/lgb/importances", self.importances, "Influence of each field"),
        ]


def _archive(files: dict[str, bytes], made_s: float) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime, member.mode = len(body), int(made_s), 0o644
            archive.addfile(member, io.BytesIO(body))
    return packed.getvalue()
