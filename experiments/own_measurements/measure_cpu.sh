#!/usr/bin/env bash
# Time small random models with three engines on one CPU thread; about 35 minutes.
#
#   bash measure_cpu.sh OUT_DIR LENGTHWISE LENGTHWISE_WITH_TORCH
#
# OUT_DIR gets one table and one run directory per sweep; assemble.py makes the shipped files of them.
set -euo pipefail
out=$1 lengthwise=$2 with_torch=$3
export OMP_NUM_THREADS=1
mkdir -p "$out"

sweep() { # name, program, arguments
    local name=$1 program=$2
    shift 2
    "$program" measure "$@" --quiet -o "$out/$name.parquet" >"$out/$name.txt"
    echo "$name done"
}

sweep llamacpp-19m "$lengthwise" llamacpp --model random-llama-19m \
    --isl "1-16384*2" --batch 1,2,4,8 --max-batch-tokens 16384 --repeats 4
sweep llamacpp-56m "$lengthwise" llamacpp --model random-llama-56m \
    --isl "1-16384*2" --batch 1,2,4,8 --max-batch-tokens 16384 --repeats 2
for context in 128 1024; do
    sweep "mixed-$context" "$lengthwise" openvino --engine-set chunk=512 --repeats 6 \
        --mixed "1x$context+2048,4x$context+2048,8x$context+2048,4x$context+6144"
done
sweep chunked-openvino-19m "$lengthwise" openvino --engine-set chunk=256 --isl "1-16384*2" --repeats 5
sweep chunked-openvino-56m "$lengthwise" openvino --model random-llama-56m --engine-set chunk=512 \
    --isl "1-16384*2" --repeats 4
sweep chunked-llamacpp-19m "$lengthwise" llamacpp --engine-set chunk=256 --engine-set flash=off \
    --isl "1-8192*2" --repeats 5
torch() { # name, arguments
    local name=$1
    shift
    sweep "transformers-$name" "$with_torch" transformers "$@"
}
torch sdpa --model random-llama-19m --isl "1-16384*2" --batch 1,4,8 --max-batch-tokens 16384 --repeats 4
torch sdpa-bf16 --model random-llama-19m --precision bf16 \
    --isl "1-16384*2" --batch 1,4,8 --max-batch-tokens 16384 --repeats 2
torch eager --model random-llama-19m --engine-set attention=eager \
    --isl "1-16384*2" --batch 1,4,8 --max-batch-tokens 16384 --repeats 2
torch static --model random-llama-19m --engine-set cache=static \
    --isl "1-16384*2" --batch 1,4,8 --max-batch-tokens 16384 --repeats 2
torch mamba --model random-mamba-20m --isl "1-16384*2" --batch 1,4,8 --max-batch-tokens 16384 --repeats 3
torch prefix --model random-llama-19m --isl "1024,2048,4096" --cached "0,512,1536" --repeats 4
