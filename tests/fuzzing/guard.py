"""What every reader must do: return a valid result or raise a DarlError, in little time and memory."""

import gc
import re
import time
import tracemalloc
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari_darl.errors import DarlError, DarlWarning

LONGEST = 5.0
"""Longest processor time for a small file, in seconds. Unlike wall time, it doesn't depend on other processes."""

MOST = 2**29
"""Most memory, in bytes: the decompressed content of a small file, and copies of it."""

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class BrokenPropertyError(AssertionError):
    """A reader did something that it must never do."""


def accepts(call: Callable[[], Any], *, secrets: tuple[str, ...] = (), asked: int = MOST) -> bool:
    """Return whether a reader accepts its input; False if it refuses it with a DarlError.

    Raises
    ------
    BrokenPropertyError
        If it raises another exception, or a message that isn't a sentence or contains a secret; if another library
        warns; or if it takes too much time or memory. `asked` is the number of bytes that may be allocated, of which
        no more than `MOST` may be used.
    """
    gc.collect(0)
    resident = _resident("VmRSS", reset=True)
    start = time.process_time()
    tracemalloc.start()
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            accepted = _accepted(call, secrets)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    took = time.process_time() - start
    if took > LONGEST:  # it may have been the tracing that took so long
        start = time.process_time()
        with suppress(Exception), warnings.catch_warnings(action="ignore"):
            call()
        took = time.process_time() - start
    leaked = [str(one.message) for one in caught if not issubclass(one.category, DarlWarning | ResourceWarning)]
    if leaked:
        raise BrokenPropertyError(f"a warning of another library: {leaked[0]}")
    if took > LONGEST:
        raise BrokenPropertyError(f"it took {took:.1f} s")
    used = _resident("VmHWM") - resident
    if (most := max(peak, used)) > asked or used > MOST:
        raise BrokenPropertyError(f"it took {most / 2**20:.0f} MiB")
    return accepted


def refused(call: Callable[[], Any], part: str) -> None:
    """Check that a reader refuses its input with a message that matches a pattern."""

    def checked() -> None:
        try:
            call()
        except DarlError as error:
            if not re.search(part, str(error)):
                raise BrokenPropertyError(f"{part!r} isn't in: {error}") from error
            raise

    if accepts(checked):
        raise BrokenPropertyError("the input was accepted")


def _accepted(call: Callable[[], Any], secrets: tuple[str, ...]) -> bool:
    try:
        call()
    except DarlError as error:
        check_sentence(str(error), secrets)
        return False
    except BrokenPropertyError:
        raise
    except Exception as error:
        raise BrokenPropertyError(f"{type(error).__name__}: {str(error)[:300]}") from error
    return True


def check_sentence(message: str, secrets: tuple[str, ...] = ()) -> None:
    """Check that a message is one line of full sentences, and that nothing secret is in it."""
    full = message.endswith((".", "?"))
    if "\n" in message or "\r" in message or not full or len(message) > 1000:
        raise BrokenPropertyError(f"This is no sentence: {message[:300]!r}")
    if re.search(r"memory|Memory", message):
        raise BrokenPropertyError(f"memory was asked for in earnest: {message}")
    if told := [secret for secret in secrets if secret.lower() in message.lower()]:
        raise BrokenPropertyError(f"a message tells {told[0]}")


def _resident(field: str, *, reset: bool = False) -> int:
    """Return the memory of the process in bytes, now or its peak since a reset; 0 if the system doesn't report it."""
    try:
        if reset:
            _RESET.write_text("5")
        return int(re.search(rf"{field}:\s+(\d+)", _STATUS.read_text())[1]) * 1024  # type: ignore[index]
    except (OSError, TypeError):
        return 0
