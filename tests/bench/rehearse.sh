#!/bin/sh
# Both calls on the emulated device, from a clean folder that holds only what travels: the files of the tree that git does
# not ignore, and carried.tar.gz. Neither a compiler nor a build is within reach there.
#
#   tests/bench/rehearse.sh BUILD [FOLDER]
#
# BUILD: a build folder with the emulation. FOLDER: where the results go (default: none are kept). Without numpy in
# PYTHON=python3 Stable Diffusion's weights cannot be made, and what needs them is left out.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
build=$(cd "$1" && pwd)
place=$(mktemp -d) lost=
trap 'rm -rf "$place"' EXIT
results=${2:-$place/results}
mkdir -p "$place/tree" "$results"
results=$(cd "$results" && pwd)

EMULATED=$build PACKAGES="" sh "$root/tests/bench/carry.sh" "$place/carried"
# Where there is no git, everything but build folders and the history.
list_files() {
    git ls-files -z --cached --others --exclude-standard 2> /dev/null ||
        find . \( -path './build*' -o -path ./.git \) -prune -o -type f -print0
}
(cd "$root" && list_files | tar --null --ignore-failed-read -cf - -T -) | tar -xf - -C "$place/tree"

# Only what a bare machine has: no compiler, no build tool.
mkdir "$place/bin"
for tool in sh awk basename cat chmod cmp cut date df dirname env find free grep gzip head kill ldconfig ls mkdir mktemp mv \
    nproc printf rm sed sleep sort tail tar tee timeout tr uname uniq wc; do
    path=$(command -v "$tool") && [ -x "$path" ] && ln -sf "$path" "$place/bin/$(basename "$tool")"
done

# NVIDIA's tools, in name: one that tells of memory in use, and two that run the program behind their own arguments.
printf '#!/bin/sh\necho 1234\n' > "$place/bin/nvidia-smi"
printf '#!/bin/sh\nwhile [ "${1#/}" = "$1" ]; do shift; done\nexec "$@"\n' > "$place/bin/ncu"
cp "$place/bin/ncu" "$place/bin/compute-sanitizer"
chmod +x "$place/bin/nvidia-smi" "$place/bin/ncu" "$place/bin/compute-sanitizer"

small_model='tests/bench/step.json --set model=tests/golden/config/deep-sharded --set rewards=[{"name":"brightness"}]
    --set sampler.width=null --set sampler.height=null --set sampler.steps=2 --set backprop.k=1 --set batch=1'
small_peer="--model presets/models/emoji --size 32 --steps 1 --keep 1 --reward brightness --threads 1"

# call SCRIPT OUT PART...; lost: the device is, after so many things queued and with which error
call() {
    script=$1
    shift
    (cd "$place/tree" && env -i PATH="$place/bin" HOME="$place" CARRIED="$place/carried/carried.tar.gz" WORK="$place/work" \
        SD15="$place/models" PYTHON="$(command -v "${PYTHON:-python3}")" PATIENCE="${PATIENCE:-20}" MODEL_SIZE=--tiny \
        TINY=--tiny SIZE=16 STEPS=1 K=1 LARGE=1 TIMED=3 MOST_K=1 SMALL=1GB LITTLE=1GB COSINE=0.9 SUITE="--to 12" \
        EMOJI="$small_model" PEER="$small_peer" PEER_VARIANTS=eager ${lost:+"ALIGNPROP_EMULATION_LOST=$lost"} \
        sh "tests/bench/$script" "$@")
}

has_numpy=no
! "${PYTHON:-python3}" -c 'import numpy' 2> /dev/null || has_numpy=yes
failed=0
if [ $has_numpy = yes ]; then
    call gpu.sh "$results/first" || failed=1
    call gpu_warm.sh "$results/second" || failed=1
else
    call gpu.sh "$results/first" families suite emoji counters peer || failed=1
fi
# A device that is lost after a while (error 719, a launch failure): that is told, the case runs again, the row goes on.
lost=150,719
! call gpu.sh "$results/lost" suite || { echo "a lost device passed for a good one" >&2; exit 1; }
for words in 'the device is lost after case' 'stopped in case [0-9]* ' 'case [0-9]* again, launches blocking'; do
    grep -q "$words" "$results/lost/summary.txt" || { echo "the summary of a lost device lacks: $words" >&2; exit 1; }
done
for file in summary.txt families.txt machine.txt results.tar.gz; do
    [ -s "$results/first/$file" ] || { echo "the first call left no $file" >&2; exit 1; }
done
exit $failed
