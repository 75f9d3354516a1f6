"""Importing what a command works with, when it is asked for and no sooner."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def loading() -> Iterator[None]:
    """Import without looking for garbage, of which imports leave none.

    That takes a sixth of the time to import torch and pandas. What has been imported is not looked
    through later on either.
    """
    before = len(sys.modules)
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > before:
            gc.freeze()
        gc.enable()
