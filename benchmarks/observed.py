"""
An empath that is watched: its sections on metrics, health and traces, and who watches it.

"empath+dark" has none of it, "empath+scraped" a Prometheus that asks every second, "empath+traced1" and
"empath+traced100" traces of 1 % and of all messages as well, which a collector takes that does nothing with them. All
others have what is there by default, and nobody asks. Who watches runs beside the MTA, on the same cores, and is not
counted with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIANTS = ("dark", "scraped", "traced1", "traced100")
RATIOS = {"traced1": 0.01, "traced100": 1.0}
EVERY = 1.0  # seconds between scrapes

DARK = """\
[metrics]
enabled = false
[health]
enabled = false
"""

PAGES = """\
[metrics]
endpoint = "tcp:{metrics}:interface=127.0.0.1"
[health]
endpoint = "tcp:{health}:interface=127.0.0.1"
"""

TRACED = """\
[tracing]
enabled = true
otlp_endpoint = "http://127.0.0.1:{collector}"
sample_ratio = {ratio}
"""

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n"
QUESTION = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"


def sections(variant: str, metrics: int, health: int, collector: int) -> str:
    """
    Write these sections for a variant, with the ports of the pages and of the collector.
    """
    if variant == "dark":
        return DARK
    text = PAGES.format(metrics=metrics, health=health)
    if variant in RATIOS:
        text += TRACED.format(collector=collector, ratio=RATIOS[variant])
    return text


@contextmanager
def watching(variant: str, metrics: int, collector: int, log: Path) -> Iterator[None]:
    """
    Watch the MTA as long as this lasts; RuntimeError if there was nothing to be seen of what the variant shows.
    """
    if variant not in VARIANTS or variant == "dark":
        yield
        return
    command = [sys.executable, "-m", "benchmarks.observed", str(metrics), str(collector)]
    top = Path(__file__).parents[1]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output, cwd=top) as process:
        try:
            yield
            time.sleep(2 * EVERY)
        finally:
            process.terminate()
            process.wait()
    seen = log.read_text(errors="replace").split()
    if "scraped" not in seen or (variant in RATIOS and "collected" not in seen):
        raise RuntimeError(f"empath+{variant}: nothing was seen of it: {seen[:20]}")


async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """
    Take whatever is posted, and say so for the first of it.
    """
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.partition(b":")[2]) for line in head.lower().splitlines() if line.startswith(b"content-length")
            )
            await reader.readexactly(length)
            if length > 100:
                print("collected", flush=True)
            writer.write(ANSWER)
            await writer.drain()
    writer.close()


async def scrape(port: int) -> None:
    """
    Ask for the page again and again, whether it is there or not.
    """
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(QUESTION)
            page = await reader.read(-1)
            writer.close()
            if b"empath_" in page:
                print("scraped", flush=True)
        await asyncio.sleep(EVERY)


async def watch(metrics: int, collector: int) -> None:
    """
    Scrape and collect until the process is ended.
    """
    server = await asyncio.start_server(collect, "127.0.0.1", collector)
    async with server:
        await scrape(metrics)


if __name__ == "__main__":
    asyncio.run(watch(int(sys.argv[1]), int(sys.argv[2])))
