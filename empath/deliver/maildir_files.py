"""
The folders of a maildir, and what is in them. Blocking: runs in a thread.

Raises OSError for whatever the disk refuses.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Final

from empath.deliver.durable import make_folder
from empath.folders import sync_folder

_FOLDERS: Final = ("tmp", "new", "cur")
_FOLDER_MODE: Final = 0o700


def make_maildir(path: str) -> None:
    """
    Create the maildir and its three folders where they are missing; what is there stays as it is.
    """
    if not all(os.path.isdir(os.path.join(path, folder)) for folder in _FOLDERS):
        make_folder(path, 0o777)
        for folder in _FOLDERS:
            os.makedirs(os.path.join(path, folder), mode=_FOLDER_MODE, exist_ok=True)
        sync_folder(path)


def delivered(path: str, names: Iterable[str], *, thorough: bool) -> set[str]:
    """
    Tell which files are there already. A `thorough` look finds also those that a mail reader moved into cur/, with
    flags behind a ":"; it reads the whole folder. new/ comes first, since files only move from there to cur/.
    """
    wanted = set(names)
    found = {name for name in wanted if os.path.lexists(os.path.join(path, "new", name))}
    if thorough and found != wanted:
        with os.scandir(os.path.join(path, "cur")) as entries:
            found |= {name for entry in entries if (name := entry.name.partition(":")[0]) in wanted}
    return found
