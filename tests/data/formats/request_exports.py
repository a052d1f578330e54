"""One run with known times, as servers, proxies and load generators would have written it down.

Every ``as_*`` gives text of a file in the exact shape of its tool. Servers of llama.cpp's kind
count and time as those do: the clock of the prompt stops with the first token.
"""

import csv
import io
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from exports import MODEL, UNIX, Request, good

LOAD_S = 0.125
QUEUE_S = 0.004
CACHED = 16


def iso(seconds: float, *, zone: str = "Z", sep: str = "T") -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(f"%Y-%m-%d{sep}%H:%M:%S.%f") + zone


def lines(records: Sequence[Any]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def table(records: Sequence[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(records[0]))
    writer.writeheader()
    writer.writerows(records)
    return out.getvalue()


def as_ollama(requests: Sequence[Request], *, chat: bool = False, stream: bool = False) -> str:
    out: list[dict[str, Any]] = []
    for request in requests:
        end = UNIX + request.start + LOAD_S + request.e2e
        head = {"model": "llama3.2:3b", "created_at": iso(end)}
        said = {"message": {"role": "assistant", "content": "a"}} if chat else {"response": "a"}
        if request.failed:
            out.append({"error": "model runner has unexpectedly stopped"})
            continue
        if stream:
            out += [{**head, **said, "done": False}] * 2
        out.append({
            **head, **said, "done": True, "done_reason": "stop",
            "total_duration": round(1e9 * (LOAD_S + request.e2e)),
            "load_duration": round(1e9 * LOAD_S), "prompt_eval_count": request.isl,
            "prompt_eval_duration": round(1e9 * request.ttft), "eval_count": request.osl,
            "eval_duration": round(1e9 * (request.e2e - request.ttft)),
        })  # fmt: skip
    return lines(out)


def timings(request: Request, cached: int | None) -> dict[str, Any]:
    ttft, span = 1e3 * request.ttft, 1e3 * (request.e2e - request.ttft)
    computed = request.isl - (cached or 0)
    known = {} if cached is None else {"cache_n": cached}
    return known | {
        "prompt_n": computed, "prompt_ms": ttft, "prompt_per_token_ms": ttft / computed,
        "prompt_per_second": 1e3 * computed / ttft, "predicted_n": request.osl,
        "predicted_ms": span, "predicted_per_token_ms": span / request.osl,
        "predicted_per_second": 1e3 * request.osl / span if span else None,
    }  # fmt: skip


def as_llama_server(requests: Sequence[Request], shape: str) -> str:
    out: list[dict[str, Any]] = []
    for request in requests:
        if request.failed:
            out.append({"error": {"code": 500, "message": "slot unavailable"}})
        elif shape == "chat":
            out.append({
                "object": "chat.completion", "model": "/models/Qwen3-0.6B-Q8_0.gguf",
                "system_fingerprint": "b6097-9515c613", "choices": [{"message": {"content": "a"}}],
                "usage": {"prompt_tokens": request.isl, "completion_tokens": request.osl},
                "timings": timings(request, CACHED),
            })  # fmt: skip
        elif shape == "completion":  # before cache_n: the whole prompt is in tokens_evaluated
            told = timings(request, CACHED)
            del told["cache_n"]
            out.append({"content": "a", "stop": True, "tokens_evaluated": request.isl,
                        "tokens_cached": request.isl + request.osl, "timings": told,
                        "generation_settings": {"model": "Qwen3-0.6B-Q8_0.gguf"}})  # fmt: skip
        else:
            out.append(timings(request, CACHED))
    return lines(out)


def as_llama_log(requests: Sequence[Request], kind: str) -> str:
    out = []
    for number, request in enumerate(good(requests)):
        ttft, span = 1e3 * request.ttft, 1e3 * (request.e2e - request.ttft)
        slot = {
            "server": f"slot print_timing: id  0 | task {number} | ",
            "stamped": f"0.12.345.678 I slot print_timing: id  1 | task {number} | ",
            "cli": "llama_perf_context_print: ",
        }[kind]
        runs = kind == "cli"
        n, what = (request.osl - 1, "runs") if runs else (request.osl, "tokens")
        n = max(n, 0)
        each = span / n if n else 0.0
        out += [
            f"{slot}prompt eval time = {ttft:10.2f} ms / {request.isl:5d} tokens "
            f"({ttft / request.isl:8.2f} ms per token, {1e3 * request.isl / ttft:8.2f} tokens per "
            "second)",
            f"{slot}       eval time = {span:10.2f} ms / {n:5d} {what} ({each:8.2f} ms per token,"
            "    20.00 tokens per second)",
            f"{slot}      total time = {ttft + span:10.2f} ms / {request.isl + n:5d} tokens",
        ]
    return "\n".join(["main: server is listening", *out, ""])


def inferencex(
    requests: Sequence[Request], *, new: bool = True, clients: int = 4
) -> dict[str, Any]:
    done = [r for r in good(requests) if r.tpot is not None]
    point: dict[str, Any] = {
        "hw": "b200-nb_0", "tp": 8, "ep": 1, "dp_attention": "false", "conc": clients,
        "model": MODEL, "framework": "vllm", "precision": "fp8", "tput_per_gpu": 812.5,
        "output_tput_per_gpu": 400.25,
    }  # fmt: skip
    if new:
        point |= {"isl": 1024, "osl": 1024, "image": "vllm/vllm-openai:v0.11.0", "disagg": False,
                  "spec_decoding": "none", "is_multinode": False, "pp": 1,
                  "input_tput_per_gpu": 412.25}  # fmt: skip
    values = {"ttft": [r.ttft for r in done], "tpot": [r.tpot for r in done],
              "e2el": [r.e2e for r in done]}  # fmt: skip
    for word, times in values.items():
        stats = {"mean": np.mean(times), "median": np.median(times), "std": np.std(times),
                 "p99": np.percentile(times, 99)}  # fmt: skip
        point |= {f"{name}_{word}": float(value) for name, value in stats.items()}
    return point | {f"{n}_intvty": 1 / point[f"{n}_tpot"] for n in ("mean", "median", "p99")}


def as_perf_analyzer(requests: Sequence[Request], kind: str, mode: str = "concurrency") -> str:
    out = []
    for request in requests:
        start = round(1e9 * (UNIX + request.start))
        times = [start + round(1e9 * t) for t in request.tokens]
        if kind == "openai":
            parts = [{"choices": [{"delta": {"content": "a"}}]} for _ in times]
            usage = {"prompt_tokens": request.isl, "completion_tokens": request.osl}
            body = [f"data: {json.dumps(part)}\n\n" for part in parts]
            body[-1] += f"data: {json.dumps({'choices': [], 'usage': usage})}\n\ndata: [DONE]\n\n"
            first = {"choices": [{"delta": {"role": "assistant", "content": ""}}]}
            outputs = [{"response": f"data: {json.dumps(first)}\n\n"}] + [
                {"response": text} for text in body
            ]
            times = [start + 1000, *times]  # the role, before any text
        else:
            outputs = [{"text_output": " a", "model_name": "ensemble"} for _ in times]
        if request.failed:
            outputs = [{"response": '{"object": "error", "message": "too long"}'}]
            times = times[:1]
        payload = json.dumps({"model": MODEL, "stream": True})
        out.append({"timestamp": start, "request_inputs": {"payload": payload},
                    "response_timestamps": times, "response_outputs": outputs})  # fmt: skip
    experiment = {"mode": mode, "value": 4}
    found = {"experiment": experiment, "requests": out, "window_boundaries": [0, 1]}
    return json.dumps({"experiments": [found], "version": "2.54.0", "service_kind": kind,
                       "endpoint": "v1/chat/completions"})  # fmt: skip


def loadgen_summary(requests: Sequence[Request], scenario: str, word: str = "to") -> str:
    done = [r for r in good(requests) if r.tpot is not None]
    duration = 10.0
    per_s, tokens = len(done) / duration, sum(r.osl for r in done) / duration
    head = "Completed samples" if scenario == "Server" else "Samples"
    text = (
        f"{'=' * 48}\nMLPerf Results Summary\n{'=' * 48}\nSUT name : PySUT\nScenario : {scenario}\n"
        f"Mode     : PerformanceOnly\n{head} per second    : {per_s:.6f}\n"
    )
    spoken = "Completed tokens" if scenario == "Server" else "Tokens"
    text += f"{spoken} per second: {tokens:.6f}\nResult is : VALID\n"
    if scenario == "Server":
        text += "Scheduled samples per second : 2.75\n"
    parts = [("latency (ns)               ", "latency (ns)   ", [r.e2e for r in done])]
    if scenario != "Offline":
        parts += [
            ("First Token latency (ns)                ", "first token latency (ns)   ",
             [r.ttft for r in done]),
            (f"Time {word} Output Token (ns)                ", "time to output token (ns)   ",
             [r.tpot or 0.0 for r in done]),
        ]  # fmt: skip
    for name, share, times in parts:
        ns = np.round(1e9 * np.array(times)).astype(int)
        text += f"Min {name}: {ns.min()}\nMax {name}: {ns.max()}\nMean {name}: {round(ns.mean())}\n"
        text += "".join(f"{p:.2f} percentile {share}: {round(np.percentile(ns, p))}\n"
                        for p in (50, 90, 99))  # fmt: skip
    return text + "target_qps : 3\nttft_latency (ns): 2000000000\ntpot_latency (ns): 200000000\n"


def loadgen_detail(requests: Sequence[Request]) -> str:
    done = [r for r in good(requests) if r.tpot is not None]

    def mean(values: Sequence[float | None]) -> int:
        return round(1e9 * float(np.mean([v or 0.0 for v in values])))

    said = {
        "loadgen_version": "4.1", "effective_scenario": "Server", "result_validity": "INVALID",
        "result_query_count": len(done), "result_completed_samples_per_sec": len(done) / 10,
        "result_scheduled_samples_per_sec": 2.75,
        "result_mean_latency_ns": mean([r.e2e for r in done]),
        "result_90.00_percentile_latency_ns": 5, "effective_target_qps": 3,
        "result_first_token_mean_latency_ns": mean([r.ttft for r in done]),
        "result_first_token_99.00_percentile_latency_ns": 900000000,
        "result_time_per_output_token_99.00_percentile_ns": 30000000,
        "result_time_to_output_token_mean": mean([r.tpot for r in done]),
        "result_completed_tokens_per_second": sum(r.osl for r in done) / 10,
    }  # fmt: skip
    return "".join(
        ":::MLLOG "
        + json.dumps({"key": key, "value": value, "time_ms": 1.5, "metadata": {}})
        + "\n"
        for key, value in said.items()
    )


def meta_info(request: Request, *, told: str) -> dict[str, Any]:
    received = UNIX + request.start
    meta: dict[str, Any] = {
        "id": f"r{request.start:.3f}", "finish_reason": {"type": "length", "length": request.osl},
        "prompt_tokens": request.isl, "completion_tokens": request.osl, "cached_tokens": CACHED,
        "weight_version": "default", "e2e_latency": request.e2e, "queue_time": QUEUE_S,
        "request_received_ts": received, "request_finished_ts": received + request.e2e,
    }  # fmt: skip
    if told == "prefill":
        meta["prefill_finished_ts"] = received + request.ttft
    elif told == "rate" and request.osl > 1:
        meta["decode_throughput"] = request.osl / (request.e2e - request.ttft)
    if request.failed:
        meta |= {"finish_reason": {"type": "abort", "message": "timeout"}, "completion_tokens": 0}
    return meta


def as_sglang(requests: Sequence[Request], shape: str) -> str:
    if shape == "export":
        asked = json.dumps({"stream": True, "rid": "x"})
        return lines([{"request_parameters": asked, **meta_info(r, told="rate")} for r in requests])
    if shape == "responses":
        return lines([{"text": "a", "meta_info": meta_info(r, told="prefill")} for r in requests])
    if shape == "json log":
        return "[2026-01-01 00:00:00] starting\n" + "".join(
            "[2026-01-01 00:00:01] " + json.dumps({
                "event": "request.finished", "rid": "x", "obj": {"stream": True},
                "out": {"meta_info": meta_info(r, told="prefill")},
            }) + "\n" for r in requests
        )  # fmt: skip
    if shape == "text log":
        return "".join(
            "[2026-01-01 00:00:01] Decode batch, #running-req: 4, gen throughput (token/s): 12.0\n"
            f"[2026-01-01 00:00:01] Finish: obj=GenerateReqInput(rid='x', stream=True), "
            f"out={{'text': 'it\\'s {{', 'meta_info': {meta_info(r, told='prefill')!r}}}\n"
            for r in requests
        )
    out = []
    for i, r in enumerate(requests):
        spent = 1e3 * (r.e2e - QUEUE_S)
        forward = -1.0 if r.failed else spent
        out.append(
            f"[2026-01-01 00:00:01 TP0] Req Time Stats(rid=r{i}, input len={r.isl}, output "
            f"len={r.osl}, type=unified): queue_duration={1e3 * QUEUE_S:.2f}ms, "
            f"forward_duration={forward:.2f}ms, start_time={7000 + r.start:.3f}\n"
        )
    return "".join(out)


def rust(seconds: float) -> str:
    return f"{seconds:.9f}s" if seconds >= 1 else f"{1e3 * seconds:.6f}ms"


def as_tgi(requests: Sequence[Request], shape: str) -> str:
    text = []
    for r in requests:
        words = {
            "total_time": r.e2e, "validation_time": 3.5e-4, "queue_time": QUEUE_S,
            "inference_time": r.e2e - QUEUE_S, "time_per_token": (r.e2e - QUEUE_S) / r.osl,
        }  # fmt: skip
        end = iso(UNIX + r.start + r.e2e)
        said = {name: rust(value) for name, value in words.items()}
        if shape == "log":
            pairs = " ".join(f'{name}="{value}"' for name, value in said.items())
            level, word = ("ERROR", "Failed") if r.failed else (" INFO", "Success")
            text.append(
                f"{end} {level} generate{{parameters=GenerateParameters {{ }} {pairs} "
                f'seed="None"}}: text_generation_router::server: server.rs:402: {word}\n'
            )
        elif shape == "json log":
            text.append(json.dumps({
                "timestamp": end, "level": "ERROR" if r.failed else "INFO", "message": "Success",
                "target": "text_generation_router", "span": {**said, "name": "generate"},
            }) + "\n")  # fmt: skip
        elif not r.failed:
            headers = {f"x-{name.replace('_', '-')}": str(round(1e3 * value))
                       for name, value in words.items()}  # fmt: skip
            text.append(json.dumps({"headers": {
                **headers, "x-prompt-tokens": str(r.isl), "x-generated-tokens": str(r.osl),
                "x-compute-type": "1-nvidia-a10g",
            }}) + "\n")  # fmt: skip
    return "".join(text)


def litellm(requests: Sequence[Request]) -> list[dict[str, Any]]:
    out = []
    for r in requests:
        start = UNIX + r.start
        out.append({
            "request_id": f"chatcmpl-{r.start:.2f}", "call_type": "acompletion", "spend": 0.01,
            "total_tokens": r.isl + r.osl, "prompt_tokens": r.isl,
            "completion_tokens": 0 if r.failed else r.osl, "startTime": iso(start),
            "endTime": iso(start + r.e2e), "completionStartTime": iso(start + r.ttft),
            "model": MODEL, "custom_llm_provider": "hosted_vllm", "cache_hit": "False",
            "metadata": json.dumps({"status": "failure" if r.failed else "success"}),
        })  # fmt: skip
    hit = {**out[0], "cache_hit": "True"}
    other = {**out[0], "call_type": "aembedding"}
    return [*out, hit, other]


def langfuse(requests: Sequence[Request], *, snake: bool) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for r in requests:
        start = UNIX + r.start
        usage = {"input": r.isl - CACHED, "input_cached_tokens": CACHED, "output": r.osl}
        if snake:
            when = {
                n: iso(start + t, zone="", sep=" ")
                for n, t in (
                    ("start_time", 0.0),
                    ("completion_start_time", r.ttft),
                    ("end_time", r.e2e),
                )
            }
            out.append({"id": "o", "trace_id": "t", "type": "GENERATION", **when,
                        "provided_model_name": MODEL, "usage_details": usage, "latency": r.e2e,
                        "level": "ERROR" if r.failed else "DEFAULT"})  # fmt: skip
        else:
            when = {
                n: iso(start + t)
                for n, t in (
                    ("startTime", 0.0),
                    ("completionStartTime", r.ttft),
                    ("endTime", r.e2e),
                )
            }
            out.append({"id": "o", "traceId": "t", "type": "GENERATION", **when, "model": MODEL,
                        "usageDetails": usage, "latency": 1e3 * r.e2e,
                        "level": "ERROR" if r.failed else "DEFAULT"})  # fmt: skip
    return [{**out[0], "type": "SPAN"}, *out]


def openrouter(requests: Sequence[Request]) -> list[dict[str, Any]]:
    return [{
        "id": "gen-1", "model": "qwen/qwen3-0.6b", "provider_name": "Infermatic", "streamed": True,
        "created_at": iso(UNIX + r.start, zone="+00:00"), "cancelled": r.failed,
        "latency": 1e3 * r.ttft, "generation_time": 1e3 * r.e2e, "finish_reason": "stop",
        "tokens_prompt": 2 * r.isl, "tokens_completion": 2 * r.osl, "native_tokens_prompt": r.isl,
        "native_tokens_completion": r.osl, "native_tokens_reasoning": 0, "moderation_latency": None,
    } for r in requests]  # fmt: skip


def k6(requests: Sequence[Request], *, handled: bool) -> str:
    done = good(requests)
    shorts = ("avg", "min", "med", "max", "p(90)", "p(95)")

    def trend(values: Sequence[float]) -> dict[str, Any]:
        ms = 1e3 * np.array(values)
        found = (ms.mean(), ms.min(), np.median(ms), ms.max(), *np.percentile(ms, (90, 95)))
        block = dict(zip(shorts, map(float, found), strict=True))
        return {"type": "trend", "contains": "time", "values": block} if handled else block

    def plain(kind: str, **values: float) -> dict[str, Any]:
        return {"type": kind, "contains": "default", "values": values} if handled else values

    share = 1 - len(done) / len(requests)
    failed = {"rate": share} if handled else {"value": share}
    name = "llm_ttft" if handled else "ttft_ms"
    return json.dumps({"metrics": {
        "http_req_duration": trend([r.e2e for r in requests]),
        "http_req_duration{expected_response:true}": trend([r.e2e for r in done]),
        "http_req_waiting": trend([0.002 for _ in requests]),
        "http_req_failed": plain("rate", passes=2, fails=22, **failed),
        "http_reqs": plain("counter", count=len(requests), rate=8.0),
        "vus_max": plain("gauge", value=6, min=6, max=6), name: trend([r.ttft for r in done]),
        "output_tokens": plain("counter", count=sum(r.osl for r in done), rate=9.5),
    }})  # fmt: skip


def request_log(requests: Sequence[Request], names: dict[str, str], factor: float,
                origin: float) -> list[dict[str, Any]]:  # fmt: skip
    """Records of a log; ``names`` maps what happened to the name of its column."""
    out = []
    for number, r in enumerate(requests):
        begin = origin + r.start
        what = {"arrival": begin, "queued": begin, "scheduled": begin + QUEUE_S,
                "first": begin + r.ttft, "last": begin + r.e2e, "end": begin + r.e2e}  # fmt: skip
        made = {names[key]: factor * time for key, time in what.items() if key in names}
        if factor > 1:
            made = {name: round(value) for name, value in made.items()}
        out.append({"request_id": number, **made, names["isl"]: r.isl, names["osl"]: r.osl,
                    names["status"]: "abort" if r.failed else "stop"})  # fmt: skip
    return out
