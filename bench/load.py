"""Load: the same request over and over on a number of connections, by wrk or by ourselves."""

from __future__ import annotations

import asyncio
import itertools
import json
import multiprocessing
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.server import Server, cores

PATH = "/kmip/2_1"
# Static: wrk builds the request once. `done` runs after the measurement and prints what came of it.
SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = %s
done = function(summary, latency, requests)
  local e = summary.errors
  io.write(string.format("RESULT [%%d,%%d,%%d,%%d,%%d]\\n", summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


class BadLoadError(Exception):
    """A request failed, so the run says nothing."""


@dataclass(frozen=True)
class Measured:
    """What one run came to. Latencies in microseconds."""

    requests: int
    seconds: float
    p50: float
    p99: float


def generator() -> str:
    """Name what makes the load; figures of different generators do not compare."""
    return "wrk" if shutil.which("wrk") else "python"


def run(server: Server, body: str, connections: int, seconds: float) -> Measured:
    """Send one request again and again; any error makes the run invalid."""
    load = _wrk if generator() == "wrk" else _ourselves
    return load(server, body, connections, seconds)


def _wrk(server: Server, body: str, connections: int, seconds: float) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "load.lua"
        script.write_text(SCRIPT % json.dumps(body))
        threads = min(connections, len(cores()[1]))
        shape = (f"-t{threads}", f"-c{connections}", f"-d{max(1, round(seconds))}s")
        url = f"http://{server.host}:{server.port}{PATH}"
        command = ["wrk", *shape, "-s", str(script), url]
        ran = subprocess.run(command, capture_output=True, text=True, check=True)
    line = next(one for one in ran.stdout.splitlines() if one.startswith("RESULT "))
    requests, microseconds, bad, p50, p99 = json.loads(line.removeprefix("RESULT "))
    if bad or not requests:
        raise BadLoadError(ran.stdout)
    return Measured(requests, microseconds / 1e6, p50, p99)


def _ourselves(server: Server, body: str, connections: int, seconds: float) -> Measured:
    """Do the same from Python processes; slower than wrk, so the client is often the limit."""
    workers = min(connections, len(cores()[1]))
    shares = [len(range(each, connections, workers)) for each in range(workers)]
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        arguments = [(server, body, share, seconds) for share in shares]
        latencies = list(itertools.chain.from_iterable(pool.starmap(_work, arguments)))
    if not latencies:
        raise BadLoadError("no request was answered")
    quantile = statistics.quantiles(latencies, n=100) if len(latencies) > 1 else latencies * 99
    return Measured(len(latencies), seconds, quantile[49], quantile[98])


def _work(server: Server, body: str, connections: int, seconds: float) -> list[float]:
    async def all_connections() -> list[float]:
        loops = (_loop(server, body, seconds) for _ in range(connections))
        return list(itertools.chain.from_iterable(await asyncio.gather(*loops)))

    return asyncio.run(all_connections())


async def _loop(server: Server, body: str, seconds: float) -> list[float]:
    reader, writer = await asyncio.open_connection(server.host, server.port)
    data = body.encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: {server.host}\r\nContent-Type: application/json\r\n"
    request = f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data
    latencies, end = [], time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        writer.write(request)
        await _answer(reader)
        latencies.append((time.perf_counter() - started) * 1e6)
    writer.close()
    return latencies


async def _answer(reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    if not head.startswith(b"http/1.1 200 "):
        raise BadLoadError(head.decode(errors="replace"))
    length = head.partition(b"content-length:")[2].partition(b"\r\n")[0]
    await reader.readexactly(int(length))
