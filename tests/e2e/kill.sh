#!/bin/sh
# kill -9 at random moments, resume each time: the adapter's tensors are those of a run that nobody disturbed.
#   tests/e2e/kill.sh PROGRAM SOURCE    KILLS=how many (6)  SEED=of the moments (1)  PRESET=instead of a tiny model's
. "$(dirname "$0")/common.sh"
kills=${KILLS:-6}
seed=${SEED:-1}
set -- --set steps=12 --set checkpoint.every=3 --set batch=1 --threads 1 --quiet
if [ -n "${PRESET-}" ]; then
    preset=$PRESET
    set -- "$@" --set sampler.steps=6 --set backprop.method=last-k --set backprop.k=2 --set sample.every=6 --set sample.count=1
else
    small_preset kill
    preset=$work/kill.json
fi

tensors() { # the tensors' bytes: the file behind its header
    size=$(od -An -t u8 -N 8 "$1" | tr -d ' ')
    tail -c +$((size + 9)) "$1" | cksum
}

begin=$(date +%s%N)
run tune "$preset" --run "$work/whole" "$@"
whole_ms=$((($(date +%s%N) - begin) / 1000000))
check "the undisturbed run ends" is "$code" 0
if [ "$code" -ne 0 ]; then
    echo "# $err"
    exit 1
fi
expected=$(tensors "$work/whole/lora.safetensors")

run resume "$work/whole" --steps 12 --quiet
check "a finished run stays as it is" is "$(tensors "$work/whole/lora.safetensors")" "$expected"

# Only kills that hit a living engine count. A run that got to its end between two kills is compared, and begun anew.
start() {
    if [ -f "$work/killed/preset.json" ]; then
        "$program" resume "$work/killed" --quiet >/dev/null 2>&1 &
    else
        rm -rf "$work/killed"
        "$program" tune "$preset" --run "$work/killed" "$@" >/dev/null 2>&1 &
    fi
    engine=$!
}

done_kills=0
endings=0
start "$@"
while [ "$done_kills" -lt "$kills" ]; do
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    wait_ms=$((seed / 65536 % whole_ms + 1))
    sleep "$(printf '%d.%03d' $((wait_ms / 1000)) $((wait_ms % 1000)))"
    kill -9 "$engine" 2>/dev/null
    wait "$engine" 2>/dev/null
    code=$?
    if [ "$code" -eq 137 ]; then
        done_kills=$((done_kills + 1))
    else
        endings=$((endings + 1))
        check "ending $endings, after $done_kills kills, is one without fault" is "$code" 0
        check "and has the same bytes" is "$(tensors "$work/killed/lora.safetensors")" "$expected"
        rm -rf "$work/killed"
    fi
    start "$@"
done
wait "$engine"
run resume "$work/killed" --quiet
check "the killed run ends" is "$code" 0
check "with the same bytes after $kills kills" is "$(tensors "$work/killed/lora.safetensors")" "$expected"

# Ctrl-C: the step is finished and saved, exit status 130; then the same bytes again.
"$program" tune "$preset" --run "$work/interrupted" "$@" >/dev/null 2>&1 &
engine=$!
until grep -q '"step":2,' "$work/interrupted/metrics.jsonl" 2>/dev/null; do sleep 0.02; done
kill -INT "$engine"
wait "$engine"
check "Ctrl-C leaves with status 130" is "$?" 130
run resume "$work/interrupted" --quiet
check "and the run goes on to the same bytes" is "$(tensors "$work/interrupted/lora.safetensors")" "$expected"

# Ctrl-C before the first checkpoint: threads are still those of the start.
"$program" tune "$preset" --run "$work/early" "$@" >/dev/null 2>&1 &
engine=$!
until [ -s "$work/early/metrics.jsonl" ]; do sleep 0.01; done
kill -INT "$engine"
wait "$engine"
run resume "$work/early" --quiet
check "a run interrupted at once goes on to the same bytes" is "$(tensors "$work/early/lora.safetensors")" "$expected"
finish
