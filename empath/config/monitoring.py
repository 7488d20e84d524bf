"""
What the keys of [metrics] need of one another.
"""

from __future__ import annotations

from collections.abc import Iterator

from empath.config.convert import Problem, unusable
from empath.config.endpoints import is_local
from empath.config.schema import Metrics
from empath.config.values import shown


def of_metrics(metrics: Metrics) -> Iterator[Problem]:
    """
    The page tells of destinations and rates: beyond this machine only with a token.
    """
    if metrics.enabled and not metrics.token_hash and not is_local(metrics.endpoint):
        allowed = 'one on loopback, such as "tcp:9090:interface=127.0.0.1", or with metrics.token_hash'
        yield unusable("metrics.endpoint", shown(metrics.endpoint), allowed, ("metrics.token_hash",))
