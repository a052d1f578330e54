#!/usr/bin/env bash
# Time small random models at varied settings with two engines on one CPU thread; about 3 minutes.
#
#   bash measure_settings.sh OUT_DIR LENGTHWISE LENGTHWISE_WITH_TORCH
#
# OUT_DIR gets one folder per engine; assemble_settings.py makes the shipped files of them.
set -euo pipefail
out=$1 lengthwise=$2 with_torch=$3
export OMP_NUM_THREADS=1

study() { # program, arguments; its tables of errors are not wanted here
    local program=$1 engine=$2
    shift 2
    "$program" study per-token "$engine" --isl "16-1024*4" --batch 1,2,4 --osl 12 "$@" \
        --quick -o "$out/$engine" >/dev/null
}

study "$with_torch" transformers --prompts 2 \
    --vary beams=1,2,4 --vary temperature=0,0.7,1.0 --vary precision=f32,bf16,int8
study "$lengthwise" llamacpp --prompts 3 \
    --vary precision=f16,q8_0,q4_0 --vary temperature=0,0.8
