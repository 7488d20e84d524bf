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
    origin = f"auth.senders: {section.senders}"
    try:
        return read_senders(Path(section.senders).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([f"{origin}: {error.strerror or error}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{origin}: no UTF-8"]) from error
    except ValueError as error:
        raise ConfigError([f"{origin}: {line}" for line in str(error).splitlines()]) from error
