"""
What the audit trail is asked.
"""

from __future__ import annotations

from empath.control.serving import Answers, Call, NotFound, Refused
from empath.control.terms.config import AuditRecords, FindInAudit
from empath.mail.queue_id import is_queue_id
from empath.service.auditing import Auditing


class AuditControl:
    """
    Answers for a trail.
    """

    def __init__(self, auditing: Auditing) -> None:
        self._auditing = auditing

    def answers(self) -> Answers:
        """
        Give what can be asked.
        """
        return {FindInAudit: self._find}

    async def _find(self, request: FindInAudit, call: Call) -> AuditRecords:
        queue_id = request.queue_id.upper()
        if not is_queue_id(queue_id):
            raise Refused(f"{request.queue_id} is no queue id: these have 26 letters and digits")
        if not self._auditing.readable:
            raise Refused("there is no audit trail in a file: see [audit] in the configuration")
        found = await self._auditing.find(queue_id)
        if not found.records and not found.more:
            raise NotFound(f"the audit trail tells nothing of {queue_id}")
        return AuditRecords(found.records, found.more)
