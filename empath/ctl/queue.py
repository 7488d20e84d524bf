"""
The verbs that look at the queue.
"""

from __future__ import annotations

from typing import Any

import click

from empath.control.terms.managing import CountQueue, GetQueueStats
from empath.control.terms.queue import Filter, ListQueue, QueuePage, ViewMessage
from empath.ctl.completing import queue_ids
from empath.ctl.filtering import chosen, described, filtered
from empath.ctl.json_pages import write_pages
from empath.ctl.listing import paged, pages, tell_more
from empath.ctl.tool import Tool
from empath.ctl.verbs import verb, watched
from empath.ctl.wording import number


@verb(
    """
    empathctl queue list                                   # the oldest 50
    empathctl queue list --domain example.org --limit 0    # all to a destination
    empathctl queue list --status retry --older-than 4h
    empathctl queue list --sender '<>' --json
    """
)
@filtered
@paged(50)
def list_queue(tool: Tool, limit: int, after: str, **fields: Any) -> None:
    """
    List mail that waits, each delivery with what it waits for.
    """
    selection = chosen(**fields) or Filter(all=True)
    found = pages(tool, ListQueue(selection, after=after), limit, "items")
    if tool.json:
        write_pages(tool.around.out, found, "items")
        return
    shown, last = 0, ""
    for page in found:
        if page.items:
            _show(tool, page, head=shown == 0)
        shown, last = shown + len(page.items), page.after
    if shown == 0:
        tool.note(f"No mail {described(selection)}.")
    tell_more(tool, last)


def _show(tool: Tool, page: QueuePage, head: bool) -> None:
    from empath.ctl.queue_tables import items, lines

    if tool.console.is_terminal:
        tool.write(items(page.items, tool.times, tool.console.width, head=head))
        return
    for line in lines(page.items, tool.times, head=head):  # not by rich: it lays lines out that nobody wants wrapped
        tool.say(line.plain.rstrip())


@verb(
    """
    empathctl queue count --domain example.org
    empathctl queue count --status failed --most 1000000
    """
)
@filtered
@click.option("--most", type=click.IntRange(min=1), default=10_000, show_default=True, help="Count no further.")
def count(tool: Tool, most: int, **fields: Any) -> None:
    """
    Count deliveries.
    """
    selection = chosen(**fields) or Filter(all=True)
    answer = tool.ask(CountQueue(selection, most))
    if tool.json:
        tool.write_json(answer)
    else:
        tool.say(f"more than {number(answer.count)}" if answer.more else str(answer.count))


@verb(
    """
    empathctl queue view 01JD3X5Q8VWZ0RNTB2M4C6E8GA
    empathctl queue view 01JD3X5Q8VWZ0RNTB2M4C6E8GA --json
    """
)
@click.argument("queue_id", metavar="ID", shell_complete=queue_ids)
def view(tool: Tool, queue_id: str) -> None:
    """
    Show a message: envelope, recipients, attempts, headers, the beginning of its body.
    """
    from empath.ctl.viewing import viewed

    tool.answer(ViewMessage(queue_id), lambda message: viewed(message, tool.times))


@verb(
    """
    empathctl queue stats
    empathctl queue stats --watch --interval 5
    empathctl queue stats --destinations 100 --json
    """
)
@watched
@click.option(
    "--destinations", type=click.IntRange(0, 1000), default=20, show_default=True, help="The largest so many of them."
)
def stats(tool: Tool, watch: bool, interval: float, destinations: int) -> None:
    """
    Show the queue in numbers: by status, by destination, what is due, the oldest.
    """
    from empath.ctl import queue_tables

    request = GetQueueStats(destinations)
    if watch:
        tool.watch(request, queue_tables.stats, interval)
    else:
        tool.answer(request, lambda answer: queue_tables.stats(answer, tool.times))
