"""
DKIM signatures in the service: who asks for them, as long as there is a key.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from empath.config.schema import Dkim
from empath.deliver.dispatch import Dispatch
from empath.deliver.signed import Signing
from empath.deliver.smtp import SmtpAgent
from empath.deliver.streaming import OpenBody
from empath.sign.signer import Signer


@attrs.frozen(slots=True, eq=False)
class DkimSigning:
    """
    Has `smtp_agent` and `dispatch` sign as [delivery.dkim] says.
    """

    signer: Signer
    smtp_agent: SmtpAgent
    dispatch: Dispatch
    open_body: OpenBody

    def use(self) -> None:
        """
        Have mail signed from now on, or not, where there is no key: it costs nothing then.
        """
        active = self.signer.active
        self.smtp_agent.signer = self.signer if active else None
        self.dispatch.signing = Signing(self.signer, self.open_body) if active else None

    def prepare(self, section: Dkim) -> Callable[[], None]:
        """
        Read a new section, and give what has it used; ConfigError if it cannot be.
        """
        use_section = self.signer.prepare(section)

        def use() -> None:
            use_section()
            self.use()

        return use
