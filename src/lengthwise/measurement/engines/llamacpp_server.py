"""llama.cpp's own server in a process of its own, from the xllamacpp wheel.

    python -m lengthwise.measurement.engines.llamacpp_server MODEL.gguf --port 0 ...

Prints ``listening PORT`` when it answers and runs until it is terminated or its parent is gone.
"""

from __future__ import annotations

import argparse
import os
import time

POLL_S = 0.5


def main() -> None:
    """Serve one model on loopback."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    for name, default in (("port", 0), ("threads", 1), ("slots", 1), ("context", 4096),
                          ("batch", 2048), ("ubatch", 512), ("flash", -1)):  # fmt: skip
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = args.model
    params.hostnames = ["127.0.0.1"]
    params.port = args.port
    params.n_ctx = args.context * args.slots
    params.n_parallel = args.slots
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = args.threads
    params.n_batch, params.n_ubatch = args.batch, args.ubatch
    params.kv_unified = False  # slots of their own: no length depends on what ran before
    params.cache_ram_mib = 0
    params.warmup = True
    params.endpoint_metrics = True
    if args.flash >= 0:
        kinds = xllamacpp.llama_flash_attn_type
        params.flash_attn_type = (
            kinds.LLAMA_FLASH_ATTN_TYPE_ENABLED if args.flash
            else kinds.LLAMA_FLASH_ATTN_TYPE_DISABLED
        )  # fmt: skip
    server = xllamacpp.Server(params)
    print("listening", server.listening_address, flush=True)
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(POLL_S)


if __name__ == "__main__":
    main()
