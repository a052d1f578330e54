"""TTFT, TPOT and E2E of requests, from prefill and decode steps."""

import lengthwise

table = lengthwise.dataset("own-openvino-cpu")
law = lengthwise.LatencyLaw().fit(table[table["model"] == "random-llama-56m"])

print("  isl   osl  batch      TTFT      TPOT       E2E    (90 % interval)")
for isl, osl, batch in [(512, 128, 1), (4096, 128, 1), (4096, 512, 4), (16384, 512, 1)]:
    answer = law.estimate(isl=isl, osl=osl, batch_size=batch)
    print(
        f"{isl:>6,}{osl:>6}{batch:>6}{answer.ttft.latency_ms:>9,.0f} ms"
        f"{answer.tpot.latency_ms:>7.1f} ms{answer.e2e.latency_ms:>8,.0f} ms"
        f"   {answer.e2e.lo_ms:,.0f} to {answer.e2e.hi_ms:,.0f} ms"
    )
