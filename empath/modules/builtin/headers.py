"""
`headers`: adds, removes, replaces and renames header fields when the content is in.

Fatal: a rule that is none. Nothing is retried or ignored: what a peer may bring into a value always fits in.
"""

from __future__ import annotations

from typing import assert_never

from zope.interface import implementer

from empath.modules import IContent, IModule, IServices, Session, Transaction
from empath.modules.builtin.headers_rules import Change, Rule, read_rule


@implementer(IModule)
class Headers:
    """
    `rules` is a list of tables, done in their order: `action`, `field`, and `value` or `to`, `when`.
    """

    name = "headers"

    def __init__(self, rules: object) -> None:
        if not isinstance(rules, list | tuple) or not rules:
            raise ValueError("rules: a list of tables, one at least")
        self._rules: list[Rule] = []
        problems: list[str] = []
        for number, rule in enumerate(rules, 1):
            try:
                self._rules.append(read_rule(rule))
            except ValueError as problem:
                problems.append(f"rules: rule {number}: {problem}")
        if problems:
            raise ValueError("\n".join(problems))

    def start(self, services: IServices) -> None:
        """
        Take our name.
        """
        self._services = services

    def data(self, session: Session, transaction: Transaction, content: IContent) -> None:
        """
        Do what the rules say.
        """
        for rule in self._rules:
            if rule.when.met(session, transaction, content, rule.name):
                self._apply(rule, session, transaction, content)

    def _apply(self, rule: Rule, session: Session, transaction: Transaction, content: IContent) -> None:
        match rule.change:
            case Change.REMOVE:
                content.remove(rule.name)
            case Change.RENAME:
                content.rename(rule.name, rule.to)
            case Change.ADD:
                self._write(rule, session, transaction, content, None)
            case Change.PREPEND:
                self._write(rule, session, transaction, content, 0)
            case Change.REPLACE:
                at = _place(rule.name, content)
                content.remove(rule.name)
                self._write(rule, session, transaction, content, at)
            case _:
                assert_never(rule.change)

    def _write(self, rule: Rule, session: Session, transaction: Transaction, content: IContent, at: int | None) -> None:
        hostname = self._services.hostname
        try:
            content.add(rule.name, rule.value.render(session, transaction, hostname), at)
        except ValueError:  # what is not ASCII, where an address stands that encoded-words cannot be used for
            content.add(rule.name, rule.value.render(session, transaction, hostname, ascii_only=True), at)


def _place(name: str, content: IContent) -> int | None:
    """
    Tell where among all fields the first one of a name stands.
    """
    if content.get(name) is None:
        return None
    wanted = name.lower()
    return next(at for at, (found, _) in enumerate(content.fields()) if found.lower() == wanted)
