"""Throughput, latency and CPU time of the common requests.

Prints a table and writes the same as JSON. The rounds are interleaved, so that a disturbance hits
all cells alike; each figure is the median of the rounds. Answers are checked while the load runs,
and any failed request makes the run invalid.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import time
from collections import defaultdict
from pathlib import Path
from urllib.parse import urlsplit

from bench import load, machine
from bench.server import Server, cores, fresh
from bench.workloads import Asker, Workload, prepare

Cell = tuple[str, int]
Figures = dict[str, float]
HEADINGS = ("", "connections", "requests/s", "(min-max)", "p50 ms", "p99 ms", "CPU us/request")
WIDTHS = (18, 11, 10, 16, 8, 8, 14)


def main() -> None:
    """Measure what the command line asks for."""
    options = _options()
    reference = {"load generator": load.generator(), **machine.reference()}
    gauge = machine.Gauge()
    os.sched_setaffinity(0, cores()[1])
    url = urlsplit(options.url)
    with contextlib.ExitStack() as stack:
        server = (
            Server(url.hostname, url.port or 80)
            if url.hostname
            else stack.enter_context(fresh(options.option))
        )
        others = machine.Others(server.cpu_seconds)
        found = measure(server, options, gauge)
        foreign = others.load()
    cells = [_summary(cell, figures) for cell, figures in found.items()]
    print_table(cells)
    result = {
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": reference,
        "unrest": round(gauge.unrest(), 2),
        "foreign_load": round(foreign, 2),
        "cells": cells,
    }
    print_machine(result)
    options.json.write_text(json.dumps(result, indent=1) + "\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench/run", description=__doc__)
    add = parser.add_argument
    add("--rounds", type=int, default=5, help="rounds of each measurement (%(default)s)")
    add("--seconds", type=float, default=2, help="seconds of each measurement (%(default)s)")
    add("--connections", type=int, nargs="+", default=[1, 8, 64], help="(%(default)s)")
    add("--only", default="", metavar="NAME", help="only workloads whose name begins with this")
    add("--url", default="", help="measure this server instead of a fresh one (no CPU time)")
    add("--option", action="append", default=[], help="option for the fresh server; repeatable")
    add("--json", type=Path, default=Path("bench/last.json"), help="(%(default)s)")
    return parser.parse_args()


def measure(
    server: Server, options: argparse.Namespace, gauge: machine.Gauge
) -> dict[Cell, list[Figures]]:
    """Run the rounds; give all figures of each cell."""
    workloads = [one for one in prepare(server) if one.name.startswith(options.only)]
    for workload in workloads:
        load.run(server, workload.body, 8, 1)  # warms up
    found: dict[Cell, list[Figures]] = defaultdict(list)
    for number in range(options.rounds):
        for workload in workloads:
            for connections in options.connections:
                gauge.read()
                figures = _one(server, workload, connections, options.seconds)
                found[workload.name, connections].append(figures)
        print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    return found


def _one(server: Server, workload: Workload, connections: int, seconds: float) -> Figures:
    asker = Asker(server)
    workload.sample(asker)
    sampler = machine.Sampler(lambda: workload.sample(asker))
    before = server.cpu_seconds()
    sampler.start()
    measured = load.run(server, workload.body, connections, seconds)
    checked = sampler.finish()
    cpu = server.cpu_seconds() - before
    return {
        "per_second": measured.requests / measured.seconds,
        "p50_ms": measured.p50 / 1000,
        "p99_ms": measured.p99 / 1000,
        "cpu_us": cpu * 1e6 / (measured.requests + checked),
        "checked": checked,
    }


def _summary(cell: Cell, figures: list[Figures]) -> dict[str, str | float]:
    def all_of(name: str) -> list[float]:
        return [one[name] for one in figures]

    medians = {
        name: round(statistics.median(all_of(name)), 3)
        for name in ("per_second", "p50_ms", "p99_ms", "cpu_us")
    }
    spread = {
        "per_second_min": round(min(all_of("per_second")), 1),
        "per_second_max": round(max(all_of("per_second")), 1),
        "answers_checked": sum(all_of("checked")),
    }
    return {"workload": cell[0], "connections": cell[1], **medians, **spread}


def print_table(cells: list[dict[str, str | float]]) -> None:
    """Print one line for each cell."""
    print(*(heading.rjust(width) for heading, width in zip(HEADINGS, WIDTHS, strict=True)))
    for cell in cells:
        spread = f"({cell['per_second_min']:.0f}-{cell['per_second_max']:.0f})"
        figures = (f"{cell['p50_ms']:.2f}", f"{cell['p99_ms']:.2f}", f"{cell['cpu_us']:.0f}")
        columns = (cell["workload"], cell["connections"], f"{cell['per_second']:.0f}", spread)
        row = zip((*columns, *figures), WIDTHS, strict=True)
        print(*(str(value).rjust(width) for value, width in row))


def print_machine(result: dict[str, object]) -> None:
    """Print what the figures are to be held against."""
    reference, unrest, foreign = result["machine"], result["unrest"], result["foreign_load"]
    assert isinstance(reference, dict)
    assert isinstance(unrest, float)
    assert isinstance(foreign, float)
    print()
    for name, value in reference.items():
        print(f"{name.replace('_', ' ')}: {value}")
    noisy = unrest > machine.NOISY or foreign > machine.BUSY
    verdict = "noisy: only ratios mean anything" if noisy else "quiet"
    print(f"machine was {verdict} (unrest {unrest:.2f}, others took {foreign:.2f} cores)")


if __name__ == "__main__":
    main()
