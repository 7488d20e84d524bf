"""
What became of one request to a collector.
"""

from __future__ import annotations

import attrs


@attrs.frozen(slots=True)
class Sent:
    """
    `trouble` is why it was not taken, "" where it was. `again`: it may be taken later, `after` so many seconds at the
    earliest if the collector said so. `too_large`: less at once may be taken. `lost` is how many of those that were
    sent will not get there, `reason` why, while the others did.
    """

    trouble: str = ""
    again: bool = False
    after: float = 0.0
    too_large: bool = False
    lost: int = 0
    reason: str = ""


TAKEN = Sent()
