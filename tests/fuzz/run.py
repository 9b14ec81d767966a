#!/usr/bin/python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run every fuzzer that was built for a while, as many at once as there are processors, and print what they found.

Seeds of fuzz_NAME are the files of corpus/NAME, and the test vectors of the protocol; words are those of NAME.dict. What a run
discovers goes to BUILD/corpus/NAME and is the start of the next one. An input that ends in a crash, a leak or a hang is kept in
BUILD/findings, with the command that repeats it.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys


def collect_seeds(name, arguments):
    """All seeds of a fuzzer in one directory; how many."""
    seeds = arguments.build / "seeds" / name
    shutil.rmtree(seeds, ignore_errors=True)
    seeds.mkdir(parents=True)
    for path in (arguments.corpus / name).glob("*"):
        shutil.copy(path, seeds)
    for path in arguments.vectors.glob("*"):
        if name == "wire" and path.suffix == ".msgpack":
            shutil.copy(path, seeds)
        if name == "json" and path.suffix == ".json":
            message = json.loads(path.read_text(encoding="utf-8")).get("message")
            if message is not None:
                (seeds / path.name).write_text(json.dumps(message), encoding="utf-8")
    return seeds, len(list(seeds.iterdir()))


def dictionary(name, arguments):
    """The words of the formats: kept beside the corpus, or printed by the build from the table of messages."""
    for path in (arguments.corpus / f"{name}.dict", arguments.build / "proto" / f"{'wire' if name == 'json' else name}.dict"):
        if path.exists():
            return [f"-dict={path}"]
    return []


def fuzz(program, arguments):
    name = program.name.removeprefix("fuzz_")
    corpus, findings = arguments.build / "corpus" / name, arguments.build / "findings"
    corpus.mkdir(parents=True, exist_ok=True)
    findings.mkdir(exist_ok=True)
    seeds, n_seeds = collect_seeds(name, arguments)
    command = [str(program), f"-max_total_time={arguments.seconds}", "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1",
               f"-artifact_prefix={findings}/{name}-", *dictionary(name, arguments), str(corpus), str(seeds)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False,
                          timeout=arguments.seconds + 120)
    return name, done.returncode, done.stderr, n_seeds


def number(pattern, text):
    found = re.findall(pattern, text)
    return int(found[-1]) if found else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--corpus", type=pathlib.Path, required=True)
    parser.add_argument("--vectors", type=pathlib.Path, required=True)
    parser.add_argument("--seconds", type=int, default=60)
    arguments = parser.parse_args()
    programs = sorted(path for path in arguments.build.rglob("fuzz_*") if path.is_file() and os.access(path, os.X_OK))
    if not programs:
        sys.exit(f"no fuzzer below {arguments.build}")
    print(f"{len(programs)} fuzzers, {arguments.seconds} s each", flush=True)
    n_findings = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, status, output, n_seeds in pool.map(lambda program: fuzz(program, arguments), programs):
            runs = number(r"stat::number_of_executed_units:\s*(\d+)", output)
            coverage, peak = number(r"cov: (\d+)", output), number(r"stat::peak_rss_mb:\s*(\d+)", output)
            print(f"{name:10} {runs:12,} runs  {n_seeds:4} seeds  coverage {coverage:6}  peak {peak:5} MB  "
                  f"{'FOUND' if status else 'nothing found'}", flush=True)
            if status:
                n_findings += 1
                print("\n".join(output.splitlines()[-40:]))
                found = re.search(r"Test unit written to (\S+)", output)
                if found:
                    print(f"repeat: {next(path for path in programs if path.name == 'fuzz_' + name)} {found[1]}")
            elif not runs:
                n_findings += 1
                print("  but it did not run")
    print(f"{n_findings} findings")
    return 1 if n_findings else 0


if __name__ == "__main__":
    sys.exit(main())
