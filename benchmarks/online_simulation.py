"""A small queueing simulation of a pool of pods: rows as a router sends them, times it then sees.

Continuous batching with chunked prefill, a KV limit, prefix hits and pods of different speed. The
time of a step is *not* of the form that the online law fits: a soft floor (fourth-power mean of a
launch time and compute), compute that grows as n log n, attention over the context, KV read to the
power 0.97, a batch term to the power 0.9, lognormal noise and rare stalls.
"""

from __future__ import annotations

import heapq
import math
from collections import deque
from dataclasses import dataclass

import numpy as np

CHUNK, MOST_BATCH = 2048, 64
COLUMNS = ("input_tokens", "cached_share", "kv_share", "waiting", "running", "prefill_in_flight")


@dataclass(frozen=True)
class Pool:
    """What is simulated: speeds of pods, load, lengths and the length that is the longest."""

    requests: int = 20000
    speeds: tuple[float, ...] = (1.0, 1.0, 0.7, 1.6)
    kv_tokens: int = 120_000
    rate_per_s: float = 16.0
    longest: int = 8192
    rare_from: int = 0
    rare_longest: int = 32768
    rare_share: float = 0.03
    slower_from: int = 0
    slower: float = 1.0


class Pod:
    """One server: a queue, prompts being read, answers being written."""

    def __init__(self, speed: float, kv_tokens: int) -> None:
        self.speed, self.capacity = speed, kv_tokens
        self.queue: deque[list] = deque()
        self.reading: deque[list] = deque()
        self.writing: list[tuple[int, int, list]] = []
        self.kv = self.context = self.step = self.ahead = self.batch = 0
        self.busy = False

    def admit(self) -> None:
        """Take requests from the queue while batch and KV memory have room."""
        while self.queue and self.batch < MOST_BATCH:
            need = self.queue[0][1] + self.queue[0][3]
            if self.kv + need > self.capacity and self.batch:
                break
            request = self.queue.popleft()
            self.kv += need
            self.batch += 1
            self.reading.append(request)

    def begin(self, noise: float) -> tuple[float, list]:
        """Start a step; gives its time and the requests whose prompt it finishes."""
        left = CHUNK - len(self.writing)
        tokens, pairs, finished = 0, 0.0, []
        while self.reading and left > 0:
            request = self.reading[0]
            part = min(left, request[5])
            done = request[1] - request[5]
            pairs += part * (done + 0.5 * part)
            request[5] -= part
            tokens += part
            left -= part
            if request[5]:
                break
            finished.append(self.reading.popleft())
        work = tokens + len(self.writing)
        compute = 4.2e-5 * work * (1 + 0.05 * math.log2(1 + work / 64))
        floor = (0.011**4 + compute**4) ** 0.25
        batch = len(self.writing)
        time = floor + 2.5e-9 * pairs + 1.1e-7 * self.context**0.97 + 2.5e-4 * batch**0.9
        return time * self.speed * noise, finished

    def end(self, finished: list, now: float) -> list:
        """Finish a step: count tokens; gives the requests that are done."""
        self.step += 1
        self.context += len(self.writing)
        done = []
        while self.writing and self.writing[0][0] <= self.step:
            done.append(heapq.heappop(self.writing)[2])
        for request in finished:
            request[6] = now
            self.ahead -= request[4]
            self.context += request[1]
            if request[3] > 1:
                heapq.heappush(self.writing, (self.step + request[3] - 1, request[0], request))
            else:
                done.append(request)
        for request in done:
            request[7] = now
            self.kv -= request[1] + request[3]
            self.context -= request[1] + request[3] - 1
            self.batch -= 1
        return done


class Simulation:
    """A pool and the requests that come to it, step by step.

    Attributes
    ----------
    rows
        What the router knew of each request when it arrived, (requests, len(COLUMNS)).
    out
        Time of the first and of the last token, (requests, 2).
    order
        Requests in the order in which they were done.
    """

    def __init__(self, pool: Pool, rng: np.random.Generator) -> None:
        n = pool.requests
        self.pool = pool
        self.prompts, self.answers, self.shares, self.arrivals = workload(pool, rng)
        self.noise = rng.lognormal(0, 0.06, 1 << 18)
        self.noise[rng.random(len(self.noise)) < 0.001] *= 5.0
        self.choice = rng.integers(0, len(pool.speeds), (n, 2))
        self.pods = [Pod(s, pool.kv_tokens) for s in pool.speeds]
        self.rows = np.zeros((n, len(COLUMNS)))
        self.where, self.out = np.zeros(n, dtype=int), np.zeros((n, 2))
        self.order: list[int] = []
        self.heap: list = []
        self.arrived = self.steps = 0

    def advance(self) -> bool:
        """Let the next thing happen; False when everything is done."""
        if self.arrived < self.pool.requests and (
            not self.heap or self.arrivals[self.arrived] <= self.heap[0][0]
        ):
            self._arrive()
        elif self.heap:
            self._step()
        else:
            return False
        return True

    def _arrive(self) -> None:
        i, now = self.arrived, float(self.arrivals[self.arrived])
        self.arrived += 1
        p = int(min(self.choice[i], key=lambda q: self.pods[q].batch + len(self.pods[q].queue)))
        pod = self.pods[p]
        prompt, share = int(self.prompts[i]), float(self.shares[i])
        uncached = max(prompt - int(share * prompt), 1)
        queued = len(pod.queue)
        kv = min(pod.kv / pod.capacity, 1.0)
        self.rows[i] = (prompt, share, kv, queued, pod.batch + queued, pod.ahead)
        self.where[i] = p
        pod.queue.append([i, prompt, 0, int(self.answers[i]), uncached, uncached, 0.0, 0.0])
        pod.ahead += uncached
        if not pod.busy:
            pod.busy = True
            heapq.heappush(self.heap, (now, p, -1, []))

    def _step(self) -> None:
        now, p, number, finished = heapq.heappop(self.heap)
        pod = self.pods[p]
        if number >= 0:
            for request in pod.end(finished, now):
                self.order.append(request[0])
                self.out[request[0]] = request[6], request[7]
        pod.admit()
        if not pod.batch:
            pod.busy = False
            return
        self.steps += 1
        slower = self.pool.slower_from and self.arrived >= self.pool.slower_from
        noise = float(self.noise[self.steps % len(self.noise)])
        time, finished = pod.begin(noise * (self.pool.slower if slower else 1.0))
        heapq.heappush(self.heap, (now + time, p, self.steps, finished))


def simulate(pool: Pool, seed: int) -> dict[str, np.ndarray]:
    """Simulate; columns of rows by time of completion, with ``ttft_s``, ``tpot_s``, ``time_s``."""
    rng = np.random.default_rng(seed)
    simulation = Simulation(pool, rng)
    while simulation.advance():
        pass
    return _table(simulation, rng)


def workload(pool: Pool, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """Prompt and answer tokens, cached shares and arrival times of all requests."""
    n = pool.requests
    prompts = np.clip(rng.lognormal(math.log(700), 1.0, n), 16, pool.longest).astype(int)
    if pool.rare_from:
        rare = (np.arange(n) >= pool.rare_from) & (rng.random(n) < pool.rare_share)
        prompts[rare] = np.exp(
            rng.uniform(math.log(pool.longest), math.log(pool.rare_longest), int(rare.sum()))
        )
    answers = np.clip(rng.lognormal(math.log(90), 0.8, n), 2, 800).astype(int)
    shares = np.where(rng.random(n) < 0.5, 0.0, np.round(rng.beta(2, 2, n) * 16) / 16)
    gaps = rng.exponential(1 / pool.rate_per_s, n)
    tide = 1 + 0.6 * np.sin(np.arange(n) / 1300 * 2 * np.pi) + 0.4 * (rng.random(n) < 0.15)
    return prompts, answers, shares, np.cumsum(gaps / tide)


def _table(done: Simulation, rng: np.random.Generator) -> dict[str, np.ndarray]:
    i = np.array(done.order)
    first, last = done.out[i].T
    answers, prompts = done.answers[i], done.prompts[i]
    overhead = 0.004 * rng.lognormal(0, 0.3, len(i)) + 1.5e-6 * prompts
    tpot = np.where(answers > 1, (last - first) / np.maximum(answers - 1, 1), np.nan)
    table = {name: done.rows[i, k] for k, name in enumerate(COLUMNS)}
    table["pod"] = np.array([f"pod-{p}" for p in done.where[i]], dtype=object)
    return table | {"ttft_s": first - done.arrivals[i] + overhead, "tpot_s": tpot, "time_s": last}
