"""
About the configuration, and the audit trail.
"""

from __future__ import annotations

from typing import ClassVar

import attrs

from empath.control.terms.asking import Ask
from empath.control.terms.system import Override


@attrs.frozen
class ShownConfig:
    """
    The configuration in force, as nested tables with secrets masked, where it is from, and what overrides it.
    """

    path: str
    values: dict[str, object]
    overrides: tuple[Override, ...]


@attrs.frozen
class GetConfig(Ask[ShownConfig]):
    """
    Ask for it.
    """

    verb: ClassVar = "config.show"
    answer: ClassVar = ShownConfig


@attrs.frozen
class Difference:
    """
    A key whose value differs, as TOML writes it; `restart`: only a restart applies it, and `reason` tells why. Secrets
    are masked.
    """

    key: str
    old: str
    new: str
    restart: bool
    reason: str = ""


@attrs.frozen
class ConfigDiff:
    """
    What is different, or, where the new text cannot be used, its problems.
    """

    differences: tuple[Difference, ...]
    problems: tuple[str, ...] = ()


@attrs.frozen
class DiffConfig(Ask[ConfigDiff]):
    """
    Compare a file's text with the configuration in force; its relative paths are resolved against `path`'s folder.
    """

    verb: ClassVar = "config.diff"
    answer: ClassVar = ConfigDiff
    masked: ClassVar = frozenset({"text"})

    path: str
    text: str


@attrs.frozen
class AuditRecords:
    """
    Records of the audit trail, in their order; `more` if there were more than can be told.
    """

    records: tuple[dict[str, object], ...]
    more: bool = False


@attrs.frozen
class FindInAudit(Ask[AuditRecords]):
    """
    Find what the audit trail tells of a message.
    """

    verb: ClassVar = "audit.find"
    answer: ClassVar = AuditRecords

    queue_id: str
