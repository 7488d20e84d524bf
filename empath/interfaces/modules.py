"""
The seams of modules: what a module is, and what it is given. `empath.modules` gives module authors these names.

A module implements IModule and whichever methods of IValidator, IListener, IAuthor and ILifecycle it wants: the last
four are the full lists, no module provides them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.plugin import IPlugin
from zope.interface import Attribute, Interface

from empath.interfaces.spool import IBodyReader
from empath.mail.address import Address
from empath.mail.answer import Answer
from empath.mail.attempt import Attempt
from empath.mail.envelope import Recipient
from empath.mail.message import Message
from empath.mail.reply import Reply
from empath.mail.report_text import Draft, ReportText
from empath.mail.session import Session, Transaction
from empath.policy.verdict import Verdict

MaybeVerdict = Verdict | None
"""
What a check says: None is no opinion.
"""


class IModule(Interface):
    """
    Mail policy, or something that follows what happens to mail. Any hook may be a plain function, an `async def`, or
    return a Deferred; one that blocks is marked `@blocking` and runs in a thread.
    """

    name = Attribute("What the module is called in logs, metrics and records: lower case, digits, '-'.")


class IModulePlugin(IPlugin):
    """
    A module that is installed as a plugin of Twisted's: an instance of this in a file of the folder twisted/plugins.
    """

    name = Attribute("What its factory is called in [[modules]].")
    factory = Attribute("The callable that makes the IModule from its options.")


class ILifecycle(Interface):
    """
    How a module begins and ends.
    """

    def start(services: IServices) -> Awaitable[None] | None:
        """
        Begin, after privileges are dropped and before any mail is taken. Raises to refuse: empath does not start.
        """

    def stop() -> Awaitable[None] | None:
        """
        Let go of everything; called once, after the last session and the last delivery, or when replaced by a reload.
        """


class IValidator(Interface):
    """
    The validation points. Each returns a Verdict, None for no opinion, or an Awaitable of either.
    """

    def connect(session: Session) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        A client connected; nothing was sent to it.
        """

    def ehlo(session: Session, name: str) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        EHLO, HELO or LHLO was said; `session.name` is still the previous one.
        """

    def starttls(session: Session) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        The TLS handshake is done; `session` tells its protocol, cipher and client.
        """

    def auth(session: Session, login: str) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        The client proved to be `login`; `session.login` is still "".
        """

    def mail_from(session: Session, transaction: Transaction) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        MAIL was said; `transaction` has the reverse-path and the parameters.
        """

    def rcpt_to(
        session: Session, transaction: Transaction, recipient: Recipient
    ) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        RCPT was said; `recipient` joins `transaction.recipients` only if nothing refuses.
        """

    def data(session: Session, transaction: Transaction, content: IContent) -> MaybeVerdict | Awaitable[MaybeVerdict]:
        """
        The content has come in whole; nothing is stored yet.
        """


class IListener(Interface):
    """
    What a module can follow. What a listener returns does not matter; an Awaitable is waited for in the background,
    within the module's time budget, and delays nothing.
    """

    def on_connection_opened(session: Session) -> object:
        """
        A client connected, even one that is refused at once.
        """

    def on_connection_closed(session: Session) -> object:
        """
        A session ended.
        """

    def on_smtp_error(session: Session, reply: Reply) -> object:
        """
        A session refused something with a 4yz or 5yz.
        """

    def on_message_received(message: Message) -> object:
        """
        A message is on stable storage, our own reports too.
        """

    def on_dns_lookup(lookup: Answer) -> object:
        """
        A DNS look-up ended.
        """

    def on_delivery_attempt(message: Message, attempt: Attempt) -> object:
        """
        An attempt is over, whatever came of it, and what came of it is on disk. `message.delivery` is the delivery's
        state after it, `attempt.results` the recipients that it dealt with, as they now stand.
        """

    def on_delivery_success(message: Message, attempt: Attempt) -> object:
        """
        An attempt delivered to at least one recipient; called after `on_delivery_attempt`.
        """

    def on_delivery_failure(message: Message, attempt: Attempt) -> object:
        """
        At least one recipient has failed, or expired, for good; called after `on_delivery_attempt`.
        """


class IAuthor(Interface):
    """
    What a module writes for empath.
    """

    def report_text(report: Draft) -> ReportText | str | None:
        """
        Say what people read of a report on delivery, the first part of it; None: as empath would. It is asked while
        the report is made, and so answers at once. The first module with an answer is heard.
        """


class IContent(Interface):
    """
    The content of a message that came in, as its client sent it: our own Received field is not in it yet.

    Fields of the header are named in any case. Changes take effect if the message is accepted.
    """

    size = Attribute("Octets of header and body, as they now stand.")
    eight_bit = Attribute("Whether any octet is 128 or greater.")
    header = Attribute("The header block as bytes, up to and with the line end of its last field.")
    body = Attribute("The body as bytes, its empty first line included; None where it lies in a file: read it then.")

    def fields() -> list[tuple[str, str]]:
        """
        All fields in their order: name as written, value unfolded and without surrounding blanks. Octets that are no
        UTF-8 become U+FFFD.
        """

    def get(name: str) -> str | None:
        """
        The value of the first field of a name.
        """

    def get_all(name: str) -> list[str]:
        """
        The values of all fields of a name.
        """

    def add(name: str, value: str, at: int | None = None) -> None:
        """
        Add a field before that of the index `at` among all fields, None: at the end. Long values are folded.
        ValueError for a name or value that would be no field (a line end that does not begin a folded line, a NUL).
        """

    def remove(name: str, number: int | None = None) -> int:
        """
        Remove the field of that number (0 is the first of the name), None: all of the name; tells how many.
        """

    def replace(name: str, value: str, number: int = 0) -> None:
        """
        Give the field of that number another value; at the end if there is none. ValueError as for `add`.
        """

    def rename(name: str, new: str) -> int:
        """
        Call all fields of a name otherwise, their values as they are; tells how many. ValueError for what is no name.
        """

    def open() -> IBodyReader:
        """
        Read the body as it is now from its first octet on, wherever it lies. After `replace_body` such a reader fails
        with SpoolError: open another one.
        """

    def append(data: bytes) -> Awaitable[None] | None:
        """
        Add to the end of the body; wait for the Awaitable before the next call. SpoolError, and the message is refused
        with 4yz, if it cannot be stored; ValueError for bare CR or LF.
        """

    def replace_body(data: bytes) -> Awaitable[None] | None:
        """
        Put another body in place: `data` comes right behind the header block's last line end, so it begins with the
        empty line. Otherwise as `append`, which adds to it.
        """


class IServices(Interface):
    """
    What a module is given when it starts.
    """

    hostname = Attribute("Our name.")
    clock = Attribute("The reactor's clock (IReactorTime); `seconds()` is since the epoch.")
    chance = Attribute("A random.Random.")
    domains = Attribute("The domains that are ours ([relay] domains), as a frozenset.")
    folder = Attribute("The folder of the configuration file, against which a module resolves relative paths (Path).")
    storage = Attribute("The module's IStorage.")

    def lookup(name: str, rdtype: str) -> Answer | Awaitable[Answer]:
        """
        Ask the DNS; see `IResolver.lookup`.
        """

    def verify(address: Address) -> Awaitable[Reply]:
        """
        Ask the next hop of an address whether it takes mail for it, with a null reverse-path and without sending any
        (RFC 5321 §3.5.3 has reasons against VRFY). Its reply to RCPT; a 4yz where nobody could be asked. Not cached.
        """

    def in_thread(call: Callable[[], Any]) -> Deferred[Any]:
        """
        Run a blocking call in one of the module's own threads.
        """

    def connect(endpoint: str, factory: Any) -> Deferred[Any]:
        """
        Connect to a Twisted client endpoint ("tcp:host:port", "unix:/path"); tells the protocol.
        """

    def every(seconds: float, call: Callable[[], object]) -> None:
        """
        Call again and again until the module stops; a call that raises, or whose Awaitable fails, is logged, and comes
        again all the same. No two run at once.
        """

    def count(event: str, amount: int = 1) -> None:
        """
        Add to the counter `empath_module_events_total{module, event}`.
        """

    def local(address: Address) -> bool:
        """
        Tell whether an address is in one of our domains.
        """
