"""
What all rooms that keep files need of folders. Blocking: runs in a thread.
"""

from __future__ import annotations

import os


def sync_folder(path: str | os.PathLike[str]) -> None:
    """
    Make the names in a folder durable; raises OSError for what the disk refuses.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
