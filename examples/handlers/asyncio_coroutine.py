"""
A coroutine that awaits what asyncio offers.  That takes another reactor, which is an
option of twistd itself.

    twistd -n --pidfile= --reactor=asyncio consumer --url URL --limit 20 \\
        --python asyncio_coroutine.probe

Payload: {"addresses": [["127.0.0.1", 80], ["127.0.0.1", 443]]}
"""

from __future__ import annotations

import asyncio

from myconsumer import Task


async def probe(task: Task) -> list[bool]:
    """
    Find out where something listens.
    """
    probes = [_listens(host, port) for host, port in task.payload["addresses"]]
    return await asyncio.gather(*probes)


async def _listens(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(3):
            _, writer = await asyncio.open_connection(host, port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    return True
