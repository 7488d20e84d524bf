"""
The names of destinations' sites, looked up for an operator who selects by them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable

from empath.interfaces import ISites


async def learn_sites(sites: ISites, domains: Iterable[str], known: dict[str, str]) -> bool:
    """
    Add the sites of destinations to those that are known; tells whether that took time, in which things may have
    changed.
    """
    waits: dict[str, Awaitable[str]] = {}
    for domain in set(domains) - known.keys():
        site = sites.site_of(domain)
        if isinstance(site, str):
            known[domain] = site
        else:
            waits[domain] = site
    for domain, waiting in waits.items():
        known[domain] = await waiting
    return bool(waits)
