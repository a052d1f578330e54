"""The curves of one processor: which kernels an engine runs on it, and how fast they are.

Profiles are fitted from public kernel tables and ship with the package. Where an engine or a format
has none on a processor, a relative stands in: another engine, the typical curve of all processors
put on this one's ceilings, a wider format. :attr:`DeviceProfile.remarks` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from lengthwise.data.kernel_profiles import GENERIC, load_curves
from lengthwise.domain.hardware import HardwareSpec
from lengthwise.errors import InputError
from lengthwise.formulations.operators.attention_decode import DecodeAttentionCurve
from lengthwise.formulations.operators.attention_prefill import PrefillAttentionCurve
from lengthwise.formulations.operators.ceilings import Ceilings
from lengthwise.formulations.operators.collective import CollectiveCurve, Links
from lengthwise.formulations.operators.device import Device
from lengthwise.formulations.operators.experts import ExpertsCoefficients, ExpertsCurve
from lengthwise.formulations.operators.gemm import GemmCoefficients, GemmCurve
from lengthwise.formulations.operators.latent_decode import LatentDecodeCurve
from lengthwise.formulations.operators.latent_prefill import LatentPrefillCurve
from lengthwise.formulations.operators.plain import PlainExperts, PlainGemm

Record = Mapping[str, Any]
Curve = Any

RELATED = {"sglang": ("vllm", "trtllm"), "trtllm": ("trtllm", "vllm")}
"""Whose kernels stand for an engine's; others run those of vllm or the like."""
USUAL = ("vllm", "trtllm")
UNTILED = ("cpu", "apple")
"""Kinds of processors to which the tiles of GPU kernels do not apply."""
HOST_BOUND_S = 40e-6
"""A small product that takes this long was launched by the host, call by call; engines replay
captured graphs instead."""
SMALL = (1024.0, 1024.0)
STAND_INS = {
    "nvfp4": ("int4_wo", "fp8", "bfloat16"),
    "fp8": ("fp8_block", "bfloat16"),
    "fp8_block": ("fp8", "bfloat16"),
    "w4a16_mxfp4": ("w4a8_mxfp4_mxfp8", "int4_wo", "nvfp4", "fp8", "bfloat16"),
    "int4_wo": ("w4a16_mxfp4", "nvfp4", "fp8", "bfloat16"),
}
"""Formats to take instead, nearest first."""


@dataclass
class DeviceProfile:
    """Operator curves of one engine on one processor, read when first needed.

    Attributes
    ----------
    hardware
        Catalogue entry or a file of one's own.
    engine
        ``vllm``, ``trtllm``, ``sglang`` or any other name.
    remarks
        What was taken in place of a missing curve.

    Examples
    --------
    >>> from lengthwise.data.hardware_catalog import find_hardware
    >>> profile = DeviceProfile(find_hardware("h100_sxm"), "vllm")
    >>> 0 < float(profile.gemm("bfloat16").seconds(1, 4096, 4096)) < 1e-4
    True
    """

    hardware: HardwareSpec
    engine: str = "vllm"
    remarks: dict[str, str] = field(default_factory=dict)
    _curves: dict[tuple[str, ...], Any] = field(default_factory=dict, repr=False)

    def gemm(self, dtype: str) -> GemmCurve | PlainGemm:
        """Matrix products in a format."""
        key = ("gemm", dtype)
        if key not in self._curves and self.hardware.kind in UNTILED:
            self._curves[key] = self._plain(PlainGemm, dtype)
        if key not in self._curves:
            found, record = self._of_format(*key, usable=self._replayed)
            self._curves[key] = self._product(found, record)
        curve: GemmCurve | PlainGemm = self._curves[key]
        return curve

    def _plain(self, curve: Callable[[Ceilings], Curve], dtype: str) -> Curve:
        self.remarks["products"] = f"typical curve: ceilings of {self.hardware.name} alone"
        return curve(Ceilings.of(self.hardware, dtype))

    def _product(self, dtype: str, record: Record) -> GemmCurve:
        coefficients = GemmCoefficients.from_dict(record["coefficients"])
        return GemmCurve(Ceilings.of(self.hardware, dtype), coefficients)

    def _replayed(self, record: Record) -> bool:
        """Whether the table timed the kernel, not the host's launches of it."""
        curve = self._product(str(record["dtype"]), record)
        return bool(curve.seconds(1.0, *SMALL) <= HOST_BOUND_S)

    def experts(self, dtype: str) -> ExpertsCurve | PlainExperts:
        """Routed experts; TensorRT-LLM feeds mxfp4 weights with 8 bits where there are units."""
        if dtype == "w4a16_mxfp4" and self.engine == "trtllm" and "fp4" in self.hardware.peak_flops:
            dtype = "w4a8_mxfp4_mxfp8"
        key = ("experts", dtype)
        if key not in self._curves and self.hardware.kind in UNTILED:
            self._curves[key] = self._plain(PlainExperts, dtype)
        if key not in self._curves:
            found, record = self._of_format(*key)
            coefficients = ExpertsCoefficients.from_dict(record["coefficients"])
            self._curves[key] = ExpertsCurve(Ceilings.of(self.hardware, found), coefficients)
        curve: ExpertsCurve | PlainExperts = self._curves[key]
        return curve

    def attention_prefill(self, kv_bits: float) -> PrefillAttentionCurve:
        """Prefill attention over a cache of so many bits per value."""
        curve: PrefillAttentionCurve = self._cached(
            "attention_prefill", kv_bits, PrefillAttentionCurve
        )
        return curve

    def attention_decode(self, kv_bits: float) -> DecodeAttentionCurve:
        """Decode attention over a cache of so many bits per value."""
        curve: DecodeAttentionCurve = self._cached(
            "attention_decode", kv_bits, DecodeAttentionCurve
        )
        return curve

    def latent_prefill(self, kv_bits: float) -> LatentPrefillCurve:
        """Latent attention of prompts."""
        curve: LatentPrefillCurve = self._cached("latent_prefill", kv_bits, LatentPrefillCurve)
        return curve

    def latent_decode(self, kv_bits: float) -> LatentDecodeCurve:
        """Latent attention of decoding sequences."""
        curve: LatentDecodeCurve = self._cached("latent_decode", kv_bits, LatentDecodeCurve)
        return curve

    def collective(self, operation: str) -> tuple[CollectiveCurve, ...]:
        """``all_reduce``, ``all_gather``, ``reduce_scatter`` or ``alltoall``.

        Returns
        -------
        tuple
            The curves the engine has a choice of; it takes the faster one for each message.
        """
        key = ("collective", operation)
        if key not in self._curves:
            self._curves[key] = self._collectives(operation)
        found: tuple[CollectiveCurve, ...] = self._curves[key]
        return found

    def _collectives(self, operation: str) -> tuple[CollectiveCurve, ...]:
        own = (self.engine, *RELATED.get(self.engine, USUAL))
        for system in (self.hardware.name, GENERIC):
            records = [r for r in load_curves("collective", system) if r["kind"] == operation]
            custom = next((r for e in own for r in records if r["engine"] == e), None)
            chosen = [r for r in records if r["engine"] == "nccl" or r is custom]
            if chosen:
                curves = (CollectiveCurve.from_dict(r["coefficients"]) for r in chosen)
                return tuple(c if system != GENERIC else c.on(Links.of(self.hardware))
                             for c in curves)  # fmt: skip
        raise InputError("a profile needs every collective", got=operation)

    def _cached(self, kind: str, kv_bits: float, reader: Any) -> Any:
        key = (kind, "fp8" if kv_bits <= 8 else "bfloat16")
        if key not in self._curves:
            self._curves[key] = self._attention(kind, key[1], reader)
        return self._curves[key]

    def _attention(self, kind: str, kv_dtype: str, reader: Any) -> Any:
        for system in (self.hardware.name, GENERIC):
            for wanted in (kv_dtype, "bfloat16", "fp8"):
                records = [r for r in load_curves(kind, system) if r["kv_dtype"] == wanted]
                if not records:
                    continue
                record = min(self._by_engine(records), key=lambda r: r["dtype"] != "bfloat16")
                curve = reader.from_dict(record["coefficients"])
                self._say(kind, system, record, wanted, kv_dtype)
                here = Device.of(self.hardware, record["dtype"], curve.device.cache_bytes)
                return curve if system != GENERIC else curve.on(here)
        raise InputError("a profile needs curves of attention", got=f"none of {kind}")

    def _of_format(
        self, kind: str, dtype: str, usable: Callable[[Record], bool] = lambda _: True
    ) -> tuple[str, Record]:
        for wanted in (dtype, *STAND_INS.get(dtype, ("bfloat16",))):
            for system in (self.hardware.name, GENERIC):
                records = [r for r in load_curves(kind, system) if r["dtype"] == wanted]
                records = [r for r in records if usable(r)] or records
                if records:
                    record = next(self._by_engine(records))
                    self._say(kind, system, record, wanted, dtype)
                    return wanted, record
        raise InputError("a profile needs a curve for the format", got=f"{kind} in {dtype}")

    def _by_engine(self, records: list[Any]) -> Iterator[Record]:
        """Give the records of the nearest engine that has any."""
        for engine in (self.engine, *RELATED.get(self.engine, USUAL)):
            found = [r for r in records if r["engine"] == engine]
            if found:
                return iter(found)
        return iter(records)

    def _say(self, kind: str, system: str, record: Record, used: str, wanted: str) -> None:
        parts = []
        if system == GENERIC:
            parts.append(f"typical curve, none was measured on {self.hardware.name}")
        elif record["engine"] != self.engine:
            parts.append(f"kernels of {record['engine']}")
        if used != wanted:
            parts.append(f"{used} in place of {wanted}")
        if parts:
            self.remarks[f"{kind} {wanted}"] = ", ".join(parts)
