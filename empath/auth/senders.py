"""
The file of senders, as the policy that decides.
"""

from __future__ import annotations

from pathlib import Path

from empath.config.schema import Auth
from empath.errors import ConfigError
from empath.policy.senders import ANYONE, Senders, read_senders


def senders_of(section: Auth) -> Senders:
    """
    Read the file that [auth] senders names, if it names one; ConfigError for every line that is wrong.
    """
    if not section.senders:
        return ANYONE
    try:
        return read_senders(Path(section.senders).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError([f"auth.senders: {section.senders}: {line}" for line in str(error).splitlines()]) from error
