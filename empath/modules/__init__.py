"""
Mail policy in Python: what the author of a module imports.

`from empath.modules import IModule, refuse` and the rest of the names below is all a module needs; the modules that
come with empath are written with nothing else.
"""

from __future__ import annotations

from empath.interfaces import (
    IAuthor,
    IBodyReader,
    IContent,
    ILifecycle,
    IListener,
    IModule,
    IModulePlugin,
    IServices,
    IStorage,
    IValidator,
    MaybeVerdict,
)
from empath.mail.address import Address, parse_address
from empath.mail.answer import Answer, Found
from empath.mail.attempt import Attempt
from empath.mail.envelope import Envelope, Recipient
from empath.mail.message import Delivery, Message, RecipientState, Status
from empath.mail.notice import Action as ReportAction
from empath.mail.notice import Notice
from empath.mail.reply import Reply
from empath.mail.report_text import Draft, ReportText
from empath.mail.session import Session, Transaction
from empath.modules.blocking import blocking
from empath.policy.verdict import Action, Verdict, accept, discard, disconnect, refuse, tempfail

__all__ = (
    "Action",
    "Address",
    "Answer",
    "Attempt",
    "Delivery",
    "Draft",
    "Envelope",
    "Found",
    "IAuthor",
    "IBodyReader",
    "IContent",
    "ILifecycle",
    "IListener",
    "IModule",
    "IModulePlugin",
    "IServices",
    "IStorage",
    "IValidator",
    "MaybeVerdict",
    "Message",
    "Notice",
    "Recipient",
    "RecipientState",
    "Reply",
    "ReportAction",
    "ReportText",
    "Session",
    "Status",
    "Transaction",
    "Verdict",
    "accept",
    "blocking",
    "discard",
    "disconnect",
    "parse_address",
    "refuse",
    "tempfail",
)
