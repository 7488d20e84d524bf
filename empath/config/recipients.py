"""
[relay] as the policy that decides, with the recipients that the operator's file names.
"""

from __future__ import annotations

from pathlib import Path

from empath.config.schema import Relay
from empath.errors import ConfigError
from empath.policy.relay import RelayPolicy, read_recipients, relay_policy


def relay_of(section: Relay, verified: bool = False) -> RelayPolicy:
    """
    Make the relay policy, with the recipients that the operator's file names. With `recipients = "verify"` the module
    of that name knows them, and maybe, as `verified` tells, with "any".
    """
    recipients = None
    if section.domains and section.recipients not in ("any", "verify"):
        try:
            recipients = read_recipients(Path(section.recipients).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            problems = [f"relay.recipients: {section.recipients}: {line}" for line in str(error).splitlines()]
            raise ConfigError(problems) from error
    return relay_policy(section.networks, section.domains, recipients, verified or section.recipients == "verify")
