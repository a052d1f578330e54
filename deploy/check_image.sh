#!/bin/sh
# Run the image as Kubernetes would at its strictest, in both modes, and ask it.
#
#   docker build -f deploy/Dockerfile -t lengthwise . && deploy/check_image.sh
#
# ENGINE (default docker, or podman with its options), IMAGE (default lengthwise), PORT (18411).
# Read-only root, an arbitrary user id of group 0, no capabilities, no new privileges.
set -eu
ENGINE=${ENGINE:-docker}
IMAGE=${IMAGE:-lengthwise}
PORT=${PORT:-18411}
NAME=lengthwise-check-$$
LIMITS="--read-only --tmpfs /tmp --user 123456:0 --cap-drop all --security-opt no-new-privileges
        --network host --env PREDICT_HOST=127.0.0.1 --env PREDICT_PORT=$PORT"

finish() { $ENGINE rm --force "$NAME" >/dev/null 2>&1 || true; }
trap finish EXIT

begin() { # volume, command...
  volume=$1; shift
  # shellcheck disable=SC2086
  $ENGINE run --detach --name "$NAME" $LIMITS --tmpfs "$volume:mode=0777" ${RUN:-} "$IMAGE" "$@" >/dev/null
  for _ in $(seq 60); do
    if $ENGINE exec "$NAME" python /usr/local/bin/healthcheck.py 2>/dev/null; then return; fi
    sleep 1
  done
  $ENGINE logs "$NAME"; echo "not healthy within a minute: $*" >&2; exit 1
}

ask() { curl --fail --silent --show-error "http://127.0.0.1:$PORT$1" ${2:+--data "$2"}; echo; }

row='"kv_cache_percentage":0.2,"input_token_length":8192,"num_request_waiting":0,"num_request_running":4,"num_tokens_generated":1,"prefix_cache_score":0'

begin /state lengthwise serve
ask /v1/predict '{"input_tokens": 8192}'
ask /v1/observe '{"input_tokens": 8192, "ttft_ms": 438.0}'
ask /readyz
if $ENGINE exec "$NAME" touch /written 2>/dev/null; then echo "the root is not read-only" >&2; exit 1; fi
finish

begin /models uvicorn training.training_server:app --host 127.0.0.1 --port "$PORT"
ask /add_training_data_bulk "{\"entries\":[{$row,\"actual_ttft_ms\":438.0,\"actual_tpot_ms\":11.0}]}"
finish

begin /server_models uvicorn llm_d_latency_predictor.prediction_server:app --host 127.0.0.1 --port "$PORT"
ask /predict "{$row}"
echo "the image runs in every mode"
