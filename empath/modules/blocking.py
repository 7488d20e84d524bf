"""
The mark of a hook that blocks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

MARK: Final = "__empath_blocking__"


def blocking(hook: F) -> F:
    """
    Mark a hook (or a whole class of module: all its hooks) as one that blocks: it is called in one of the module's own
    threads, and the session waits for it as for any Awaitable.

    It may read what it is given and change `metadata`; the rest of the transaction it changes only by what it returns.
    """
    setattr(hook, MARK, True)
    return hook


def is_blocking(hook: object) -> bool:
    """
    Tell whether a hook is marked, or the class it belongs to.
    """
    return bool(getattr(hook, MARK, False) or getattr(type(getattr(hook, "__self__", None)), MARK, False))
