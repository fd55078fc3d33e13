#!/usr/bin/env python3
"""This program against PyTorch at its best: the same optimiser step on the CPU, in turn in one go.

    python3 tests/bench/step.py --program build/alignprop --threads 1 --threads 2 --rounds 3 --out tests/bench/results

The step is tests/bench/step.json: the default model, batch 4, 20 steps of which the last five pass the gradient,
guidance 5, the clip reward. The peer is tests/bench/peer.py, eager and compiled, each in its own process, with the
same weights, threads and cores (all pinned with taskset). A round runs each of the three once; printed are medians
over the rounds, by the wall clock and by processor time (which other programs on the machine disturb less), and the
ratios to the faster peer. Memory is what each program took above its start: for PyTorch above what the imports took,
here above what the process held before it loaded anything. --python: an interpreter with torch and diffusers.
"""
import argparse
import datetime
import json
import pathlib
import platform
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MODEL = ROOT / "presets" / "models" / "emoji"
WARM_UP = 1


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=ROOT / "build" / "alignprop")
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--threads", type=int, action="append")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--repeat", type=int, default=3, help="timed steps a round, after one that is not")
    parser.add_argument("--eager-only", action="store_true", help="leave the compiled peer out")
    parser.add_argument("--out", type=pathlib.Path, help="a folder for the results as JSON")
    return parser.parse_args()


def run_json(command, threads):
    cores = "0" if threads == 1 else f"0-{threads - 1}"
    done = subprocess.run(["taskset", "-c", cores, *map(str, command)], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout[done.stdout.index("{"):])


def run_ours(options, threads):
    result = run_json([options.program, "bench", HERE / "step.json", "--threads", threads, "--device", "cpu", "--steps",
                       WARM_UP + options.repeat, "--json", "--quiet"], threads)
    return {"seconds": result["step_seconds"][WARM_UP:], "processor": result["step_processor_seconds"][WARM_UP:],
            "memory": result["peak_bytes"] - result["start_bytes"], "planned": result["planned_bytes"]}


def run_peer(options, threads, extra):
    result = run_json([options.python, HERE / "peer.py", "--model", MODEL, "--batch", 4, "--steps", 20, "--keep", 5,
                       "--guidance", 5, "--reward", "clip", "--threads", threads, "--warm-up", WARM_UP, "--repeat",
                       options.repeat, *extra], threads)
    return {"seconds": result["seconds"], "processor": result["processor_seconds"], "memory": result["peak_bytes"],
            "torch": result["torch"]}


def measure(options, threads):
    contestants = {"alignprop": lambda: run_ours(options, threads),
                   "torch eager": lambda: run_peer(options, threads, [])}
    if not options.eager_only:
        contestants["torch compiled"] = lambda: run_peer(options, threads, ["--compile"])
    rounds = {name: [] for name in contestants}
    for number in range(options.rounds):
        for name, contestant in contestants.items():
            rounds[name].append(contestant())
            print(f"# round {number + 1}, {threads} thread(s), {name}: {rounds[name][-1]}", file=sys.stderr, flush=True)
    return rounds


def median_of(rounds, key):
    values = [value for result in rounds for value in (result[key] if isinstance(result[key], list) else [result[key]])]
    return statistics.median(values)


def summarise(rounds):
    table = {name: {key: median_of(results, key) for key in ("seconds", "processor", "memory")}
             for name, results in rounds.items()}
    ours = table["alignprop"]
    peers = [row for name, row in table.items() if name != "alignprop"]
    ratios = {
        "speed": min(row["seconds"] for row in peers) / ours["seconds"],
        "speed by processor time": min(row["processor"] for row in peers) / ours["processor"],
        "memory": ours["memory"] / min(row["memory"] for row in peers),
    }
    return {"medians": table, "ratios": ratios}


def print_summary(threads, summary):
    print(f"{threads} thread(s)")
    for name, row in summary["medians"].items():
        print(f"  {name:16} {row['seconds']:8.3f} s a step, {row['processor']:8.3f} s of processor, "
              f"{row['memory'] / 1e6:7.0f} MB above the start")
    ratios = summary["ratios"]
    print(f"  {ratios['speed']:.2f} times the speed of the faster peer ({ratios['speed by processor time']:.2f} by "
          f"processor time), {ratios['memory']:.2f} of the memory of the smaller", flush=True)


def processor_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":")[1].strip()
    return platform.processor()


def main():
    options = parse_arguments()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout.strip()
    record = {"commit": commit, "processor": processor_name(), "date": datetime.date.today().isoformat(),
              "rounds": options.rounds, "steps a round": options.repeat, "threads": {}}
    for threads in options.threads or [1, 2]:
        rounds = measure(options, threads)
        summary = summarise(rounds)
        print_summary(threads, summary)
        record["torch"] = rounds["torch eager"][0]["torch"]
        record["threads"][str(threads)] = {**summary, "rounds": rounds}
        if options.out:
            options.out.mkdir(parents=True, exist_ok=True)
            (options.out / f"step-cpu-{commit[:8]}.json").write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
