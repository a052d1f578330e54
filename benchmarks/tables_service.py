"""What the README says of the service and of learning online."""

from __future__ import annotations

from typing import Any

from results_files import result

PEERS = ("xgboost", "lightgbm", "bayesian_ridge")
REGIMES = {"in_range": "in range", "four_times": "prompts 4 times as long"}


def service() -> str:
    """Accuracy against the peer's models, drift, speed, faults, and what to measure."""
    return "\n".join([*_accuracy(), "", _bound(), _drift(), *_speed(), *_faults(), _exploration(),
                      _adaptation()])  # fmt: skip


def _accuracy() -> list[str]:
    found = result("online")
    rows = ["| trained on the past, tested on the future | lengthwise | xgboost | lightgbm | "
            "Bayesian ridge | p90 covers |",
            "|---|--:|--:|--:|--:|--:|"]  # fmt: skip
    for data, cases in (("simulation", ("four_speeds", "equal_pods")), ("traffic", ("all",))):
        for case in cases:
            for regime, label in REGIMES.items():
                for target in ("ttft", "tpot"):
                    scores = found[data][case][regime][target]
                    rows.append(_line(LABELS[case], label, target.upper(), scores))
    return rows


LABELS = {
    "four_speeds": "simulated queues, pods of four speeds", "equal_pods": "simulated, equal pods",
    "all": "IBM's pilot, 11 deployments",
}  # fmt: skip


def _line(case: str, regime: str, target: str, scores: dict[str, Any]) -> str:
    who = ("ours", *PEERS)
    cells = [f"{scores[name]['mape_percent']:.1f} %" for name in who]
    covered = f"{scores['ours']['coverage_p90_percent']:.0f} %"
    return f"| {case}, {regime}: {target} | {' | '.join([*cells, covered])} |"


def _bound() -> str:
    found = result("online_bound")
    tpot = min(case["tpot"]["least_mape_percent"] for case in found.values())
    ttft = max(case["ttft"]["least_mape_percent"] for case in found.values())
    return (
        f"- No predictor can know the TPOT of those long prompts to better than {tpot:.0f} % when "
        f"they arrive (TTFT {ttft:.0f} %): it depends on what comes later "
        "(`benchmarks/online_bound.py`)."
    )


def _drift() -> str:
    drift = result("online")["drift"]
    quiet = drift["stationary"]
    parts = []
    for target in ("ttft", "tpot"):
        step, slow = drift["step_1.35"][target], drift["step_3"][target]
        parts.append(
            f"{target.upper()} noticed within 100 requests in "
            f"{step['detected_within_100_percent']:.0f} % of {step['runs']} runs (median after "
            f"{step['delay_median_events']:.0f}, latest "
            f"{step['delay_worst_events']:.0f}), error after them "
            f"{step['error_median_percent']:.1f} % (worst {step['error_worst_percent']:.1f}); "
            f"3 times as slow: learnt to {100 * (slow['level_median'] - 1):+.0f} %"
        )
    return (
        f"- A step of 1.35: {'; '.join(parts)}. No alarm in {quiet['events']:,} stationary "
        f"requests in {quiet['runs_without_alarm_percent']:.0f} % of {quiet['runs']} runs."
    )


def _speed() -> list[str]:
    found = result("serve_speed")
    peer, mean = found["peer"], found["mean"]
    bulk, one, quantile = mean["strict_100"], mean["single"], found["quantile"]["strict_100"]
    per_s = mean["strict_1000"]["predictions_per_cpu_s"]
    rss = " to ".join(str(mb) for mb in peer["rss_mb_per_worker"])
    taken = result("serve_faults")["ingestion"]["http_100_rows_4_senders"]["rows_per_cpu_s"]
    return [
        f"- Over HTTP, one worker: 100 rows in {bulk['p50_ms']:.2f} ms median and "
        f"{bulk['cpu_ms']:.2f} ms of CPU (quantiles {quantile['p50_ms']:.2f} and "
        f"{quantile['cpu_ms']:.2f}; llm-d's predictor {peer['strict_100_p50_ms']:.0f} ms), one row "
        f"in {one['p50_ms']:.2f} ms ({peer['single_p50_ms']:.0f} ms); "
        f"{per_s:,.0f} predictions a CPU second at 1,000 rows; {mean['rss_mb']:.0f} MB ({rss}).",
        f"- {taken:,.0f} observations a CPU second over HTTP in batches of 100, each on disk "
        "before the reply.",
    ]


def _faults() -> list[str]:
    found = result("serve_faults")
    kills, memory = found["kills"], found["memory"]
    cases = [case["holds"] for case in found.values() if "holds" in case]
    worker, trainer = (
        f"{memory[name]['rss_mb_second_quarter']:.0f} to {memory[name]['rss_mb_last_quarter']:.0f}"
        for name in ("worker", "trainer")
    )
    return [
        f"- Faults ({sum(cases)} of {len(cases)} cases hold): killed {kills['kills']} times under "
        f"load, of {kills['acknowledged_rows']:,} acknowledged observations "
        f"{kills['acknowledged_rows_lost']} lost and {kills['rows_stored_twice']} kept twice, back "
        f"after {kills['seconds_until_back_median']:.1f} s; disk full and database away: 503 with "
        f"the reason, predictions go on; {memory['minutes']:.0f} minutes of load: worker {worker} "
        f"MB, trainer {trainer} MB.",
    ]


def _exploration() -> str:
    found = result("exploration")
    medians = {
        name: found["recorded"]["policies"][name]["median_error_percent"]["0.2"]
        for name in ("sweep", "uncertainty", "information", "linucb", "reinforcement")
    }
    listed = ", ".join(f"{name} {value:.1f} %" for name, value in medians.items())
    return (
        "- What to measure next, at a fifth of the seconds that measuring everything takes, median "
        f"error up to 4 times the length over recorded deployments: {listed}. The default is "
        f"`{found['default']}`; reinforcement learning ties with it and does not replace it."
    )


def _adaptation() -> str:
    found = result("online_adaptation")
    parts = {
        name: [case[name][t] for case in found.values() for t in case.get(name, {})]
        for name in ("correction", "speed")
    }
    worst, most = {}, {}
    for name, cases in parts.items():
        worst[name] = 100 * (max(case["hedge_over_best"] for case in cases) - 1)
        most[name] = 100 * (1 - min(case["hedge_over_first"] for case in cases))
    return (
        f"- Inside the learner Hedge decides how much of the learnt correction counts and how fast "
        f"recent rows are followed. On {len(found)} kinds of streams its error is at most "
        f"{max(worst.values()):.1f} % above that of the best fixed choice, which is another from "
        f"stream to stream; it is up to {most['correction']:.0f} % below that of no correction and "
        f"up to {most['speed']:.0f} % below that of a law that does not follow "
        "(`online_adaptation.py`)."
    )
