"""
A program that holds idle SMTP connections: `python -m tests.e2e.idle PORT COUNT`, from client addresses 127.0.1.1 and
up, a part of them each. It says EHLO on each, prints "held COUNT", and goes at the end of its standard input.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Final

PER_ADDRESS: Final = 500
AT_ONCE: Final = 50
EHLO: Final = b"EHLO idle.test\r\n"


async def hold(port: int, nth: int, gate: asyncio.Semaphore) -> asyncio.StreamWriter:
    """
    Open one connection and say EHLO on it.
    """
    source = f"127.0.1.{1 + nth // PER_ADDRESS}"
    async with gate:
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
        banner = await reader.readline()
        assert banner.startswith(b"220 "), banner
        writer.write(EHLO)
        while (line := await reader.readline())[3:4] == b"-":
            pass
        assert line.startswith(b"250 "), line
    return writer


async def main(port: int, count: int) -> None:
    """
    Hold them until standard input ends.
    """
    gate = asyncio.Semaphore(AT_ONCE)
    held = await asyncio.gather(*(hold(port, nth, gate) for nth in range(count)))
    print(f"held {len(held)}", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for writer in held:
        writer.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
