"""
[relay] as the policy that decides who may send to whom.
"""

from __future__ import annotations

from pathlib import Path

from empath.config.schema import Relay
from empath.errors import ConfigError
from empath.policy.relay import RelayPolicy, read_recipients, relay_policy


def relay_of(section: Relay, verified: bool = False) -> RelayPolicy:
    """
    Make the relay policy. It leaves recipients to the module of that name, which comes behind aliases: always but with
    "any", and maybe, as `verified` tells, then too. ConfigError for a file of recipients that cannot be read.
    """
    if section.domains and section.recipients not in ("any", "verify"):
        try:
            read_recipients(Path(section.recipients).read_text(encoding="utf-8-sig"))
        except (OSError, ValueError) as error:
            problems = [f"relay.recipients: {section.recipients}: {line}" for line in str(error).splitlines()]
            raise ConfigError(problems) from error
    return relay_policy(section.networks, section.domains, None, verified or section.recipients != "any")
