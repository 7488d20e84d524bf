"""
The keys of the control socket and the audit trail, for an empath that knows them.
"""

from __future__ import annotations

from pathlib import Path

AUDITED = ("audit", "durable")

SETTINGS = """\
control_socket = "{folder}/control.sock"
audit = {{ enabled = {audited}, path = "{folder}/audit.jsonl", durable = {durable} }}
"""


def settings(folder: Path, variant: str, checkout: Path) -> str:
    """
    Write these keys, with a trail for the variants of AUDITED; nothing if the empath of this checkout is older than
    they are, as it would refuse them.
    """
    if not (checkout / "empath" / "control").is_dir():
        return ""
    audited, durable = variant in AUDITED, variant == "durable"
    return SETTINGS.format(folder=folder, audited=str(audited).lower(), durable=str(durable).lower())
