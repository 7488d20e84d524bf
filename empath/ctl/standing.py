"""
How the program stands, for people.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.console import Group, RenderableType
from rich.text import Text

from empath.control.terms.system import AuditState, ListenerState, Override, Reloaded, Status
from empath.ctl.colours import STATES, joined, plain, state
from empath.ctl.tables import pairs, table
from empath.ctl.wording import Times, number, some, span


def stands(status: Status, times: Times) -> RenderableType:
    """
    Tell a status on one page.
    """
    pieces: list[RenderableType] = [pairs(_rows(status, times)), Text(), _listeners(status.listeners, times)]
    if status.overrides:
        pieces += [Text(), overridden(status.overrides)]
    if status.troubles:
        pieces += [Text(), Text("Look at this:", style="bold yellow")]
        pieces += [joined(Text("- ", "yellow"), plain(each), by="") for each in status.troubles]
    return Group(*pieces)


def _rows(status: Status, times: Times) -> Iterator[tuple[str, RenderableType]]:
    up = f"up {span(status.uptime)}, since {times.stamp(status.started)}"
    yield "empath", plain(f"{status.version} on {status.hostname}, process {status.pid}, {up}")
    yield "configuration", plain(status.config or "no file: the defaults for development")
    yield "mail", Text("is accepted", "green") if status.accepting else Text("is not accepted now", "bold red")
    yield "ready", _ready(status.ready)
    yield "queue", _queue(status, times)
    yield "now", plain(f"{some(status.sessions, 'session')}, {some(status.attempts, 'attempt')} under way")
    yield "breakers", _breakers(status.open_circuits)
    yield "log level", _level(status)
    yield "audit", audit(status.audit)


def _ready(parts: dict[str, bool]) -> Text:
    named = {name: fine for name, fine in parts.items() if name != "ready"}
    told = [plain(name, "green") if fine else plain(f"not {name}", "bold red") for name, fine in named.items()]
    return joined(Text("yes", "green") if all(parts.values()) else Text("no", "bold red"), joined(*told), by=": ")


def _queue(status: Status, times: Times) -> Text:
    order = [*STATES, *(name for name in status.queue if name not in STATES)]
    counts = [joined(number(status.queue[name]), state(name), by=" ") for name in order if status.queue.get(name)] or [
        Text("empty")
    ]
    oldest = plain(f"the oldest came {times.relative(status.oldest)}") if status.oldest else Text()
    counted = plain(f"counted {times.relative(status.counted)}", "dim") if status.counted else Text()
    return joined(*counts, oldest, counted)


def _breakers(count: int) -> Text:
    return Text("all closed") if count == 0 else plain(f"{number(count)} open: see 'delivery circuits'", "yellow")


def _level(status: Status) -> Text:
    level = status.log_level
    changed = level.level != level.configured
    others = "".join(f"; {each.namespace}: {each.level}" for each in level.namespaces)
    return plain((f"{level.level}, set by hand; configured: {level.configured}" if changed else level.level) + others)


def audit(state: AuditState) -> Text:
    """
    Tell in a line how the audit trail is.
    """
    if not state.enabled:
        return plain("off", "dim")
    waiting = plain(f"{number(state.waiting)} waiting" if state.waiting else "")
    lost = plain(f"{number(state.lost)} lost" if state.lost else "", "bold red")
    return joined(plain(state.path), plain(some(state.records, "record")), waiting, lost, plain(state.trouble, "red"))


def _listeners(listeners: Iterable[ListenerState], times: Times) -> RenderableType:
    rows = [
        (
            each.endpoint,
            each.kind,
            each.tls,
            Text("listening", "green") if each.listening else Text("not listening", "bold red"),
            times.relative(each.certificate_expires) if each.certificate_expires else "",
        )
        for each in listeners
    ]
    return table(("listener", "kind", "tls", "state", "certificate expires"), rows)


def overridden(overrides: Iterable[Override]) -> RenderableType:
    """
    List what was set by hand.
    """
    rows = [(each.kind, each.name, each.value) for each in overrides]
    return table(("set by hand", "for", "value"), rows)


def reloaded(answer: Reloaded) -> RenderableType:
    """
    Tell what a reload did.
    """
    if not answer.changed and not answer.restart:
        return plain(f"{answer.config} was read again; nothing in it differs from what is in use.")
    pieces: list[RenderableType] = [plain(f"{answer.config} is in use.")]
    if answer.changed:
        pieces.append(joined(Text("Changed:", "green"), plain(", ".join(answer.changed)), by=" "))
    for key in answer.restart:
        why = f": {answer.reasons[key]}" if answer.reasons.get(key) else ""
        pieces.append(joined(Text("Only a restart applies", "yellow"), plain(f"{key}{why}"), by=" "))
    return Group(*pieces)
