"""
`access`: allow and deny by client, EHLO name, login, reverse-path and forward-path.

Fatal: a rule that is none, a file that cannot be read, at start. Retried: the file, when it has changed; a bad one is
logged, and the rules stay as they were.
"""

from __future__ import annotations

from zope.interface import implementer

from empath.modules import IModule, IServices, MaybeVerdict, Recipient, Session, Transaction
from empath.modules.builtin.access_rules import Act, Rule, Rules, read_rules
from empath.modules.files import WatchedFile
from empath.modules.options import duration, text, texts
from empath.policy.entries import entries


@implementer(IModule)
class Access:
    """
    `rules` is a list of rules, `file` the name of a file with more, one a line, which come behind them.

    Each step looks only at the rules about what that step brings, and the first that matches counts. `allow` ends it
    for what the step stands for: client, EHLO name and login for the session, a sender for its transaction, a recipient
    for itself.
    """

    name = "access"

    def __init__(self, rules: object = (), file: object = "", interval: object = 5.0) -> None:
        self._own = texts(rules, "rules")
        self._path = text(file, "file")
        self._interval = duration(interval, "interval")
        self._file: WatchedFile[Rules] | None = None
        try:
            self._rules = read_rules(enumerate(self._own, 1))
        except ValueError as problem:
            raise ValueError(f"rules: {problem}") from None
        if not self._own and not self._path:
            raise ValueError("neither rules nor file: there is nothing to do")

    def start(self, services: IServices) -> None:
        """
        Read the file and follow it.
        """
        self._services = services
        if self._path:
            own = self._own
            self._file = WatchedFile(self._path, lambda read: read_rules(entries(read), own), services, self._interval)

    def connect(self, session: Session) -> MaybeVerdict:
        """
        Judge the client's address.
        """
        return self._judge(self.rules.client.find(session.peer), session.peer)

    def ehlo(self, session: Session, name: str) -> MaybeVerdict:
        """
        Judge what the client calls itself.
        """
        rules = self.rules
        rule = rules.find_ehlo(name)
        if rule is None or (rules.lasting and _allows(rules.client.find(session.peer))):
            return None
        return self._judge(rule, name)

    def auth(self, session: Session, login: str) -> MaybeVerdict:
        """
        Judge who the client is.
        """
        rules = self.rules
        rule = rules.login.find(login)
        if rule is None or (rules.lasting and self._of_session(rules, session, "")[0]):
            return None
        return self._judge(rule, login)

    def mail_from(self, session: Session, transaction: Transaction) -> MaybeVerdict:
        """
        Judge the reverse-path; hold the message if the session is one to hold mail of.
        """
        rules = self.rules
        if rules.lasting:
            allowed, held = self._of_session(rules, session, session.login)
            if held:
                self._hold(transaction, held)
            if allowed:
                return None
        return self._judge(rules.sender.find_path(transaction.reverse_path), transaction.reverse_path, transaction)

    def rcpt_to(self, session: Session, transaction: Transaction, recipient: Recipient) -> MaybeVerdict:
        """
        Judge a forward-path.
        """
        rules = self.rules
        rule = rules.recipient.find_path(recipient.address)
        if rule is None or _allows(rules.sender.find_path(transaction.reverse_path)):
            return None
        if rules.lasting and self._of_session(rules, session, session.login)[0]:
            return None
        return self._judge(rule, recipient.address, transaction)

    @property
    def rules(self) -> Rules:
        """
        The rules as they now are.
        """
        return self._rules if self._file is None else self._file.value

    def _of_session(self, rules: Rules, session: Session, login: str) -> tuple[bool, str]:
        """
        Tell whether the session as it stands is allowed everything, and why its mail is to be held, "" if it is not.
        """
        held = ""
        for subject in rules.lasting:
            value = session.peer if subject == "client" else session.name if subject == "ehlo" else login
            rule = rules.of_session(subject, value)
            if _allows(rule):
                return True, held
            if rule is not None and rule.act is Act.HOLD and not held:
                held = rule.reason(value)
        return False, held

    def _judge(self, rule: Rule | None, value: object, transaction: Transaction | None = None) -> MaybeVerdict:
        """
        Do what the rule says.
        """
        if rule is None:
            return None
        if rule.act is Act.HOLD:
            if transaction is not None:
                self._hold(transaction, rule.reason(value))
        elif rule.act is not Act.ALLOW:
            self._services.count(rule.act.value)
        return rule.verdict(value)

    def _hold(self, transaction: Transaction, why: str) -> None:
        if not transaction.held:
            self._services.count(Act.HOLD.value)
            transaction.hold(why)


def _allows(rule: Rule | None) -> bool:
    return rule is not None and rule.act is Act.ALLOW
