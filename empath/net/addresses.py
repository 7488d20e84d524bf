"""
The addresses of this machine, so that mail is not sent to ourselves.
"""

from __future__ import annotations

import contextlib
from ipaddress import IPv6Address
from pathlib import Path
from typing import Final

_IPV4: Final = Path("/proc/net/fib_trie")
_IPV6: Final = Path("/proc/net/if_inet6")


def own_addresses(ipv4: Path = _IPV4, ipv6: Path = _IPV6) -> frozenset[str]:
    """
    Tell the IP addresses of all interfaces as Linux has them now; none where the kernel does not show them.
    """
    found: set[str] = set()
    with contextlib.suppress(OSError):
        found.update(_local_ipv4(ipv4.read_text()))
    with contextlib.suppress(OSError):
        found.update(str(IPv6Address(bytes.fromhex(line.split()[0]))) for line in ipv6.read_text().splitlines() if line)
    return frozenset(found)


def _local_ipv4(trie: str) -> set[str]:
    """
    Find the leaves of the routing trie ("|-- 192.0.2.1") that are followed by "/32 host LOCAL".
    """
    found, leaf = set(), ""
    for line in trie.splitlines():
        words = line.split()
        if len(words) > 1 and words[0] in ("|--", "+--"):
            leaf = words[1]
        elif words == ["/32", "host", "LOCAL"]:
            found.add(leaf)
    return found
