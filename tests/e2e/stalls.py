"""
How far a busy machine holds up what runs on it: bounds in seconds are about the program alone.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Final, Self

NAP: Final = 0.01
USUAL: Final = 0.01  # that a nap may take longer anywhere


class Stalls:
    """
    While it is entered, a thread naps; `seconds` tells how much too long that took so far, in all.
    """

    def __init__(self) -> None:
        self.seconds = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._nap, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, trouble: BaseException | None, where: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _nap(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            time.sleep(NAP)
            late = time.monotonic() - began - NAP
            if late > USUAL:
                self.seconds += late
