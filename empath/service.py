"""
The composition root: the only place that builds the rooms and wires them together.
"""

from __future__ import annotations

from typing import Any

from twisted.application.service import MultiService

from empath.config.schema import Config


class EmpathService(MultiService):
    """
    Everything that runs.
    """


def build(config: Config, reactor: Any) -> EmpathService:
    """
    Build the service that `config` describes.
    """
    return EmpathService()
