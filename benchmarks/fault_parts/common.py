"""Run commands of napari-darl, and check how they end."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import zarr

MAIN = "from napari_darl.cli import main; main()"


class FaultError(Exception):
    """A fault didn't end as it should."""


def command(*arguments: object, program: str = MAIN) -> tuple[int, str]:
    """Run `napari-darl ARGUMENTS`, and return its exit status and messages."""
    done = subprocess.run([sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True)
    return done.returncode, done.stderr


def refused(*arguments: object, program: str = MAIN) -> str:
    """Return the message with which a command refuses its input."""
    status, messages = command(*arguments, program=program)
    errors = [line for line in messages.splitlines() if line.startswith("error: ")]
    if status != 2 or len(errors) != 1 or "Traceback" in messages:
        raise FaultError(f"status {status}: {messages[-300:]}")
    return errors[0].removeprefix("error: ")


def works(*arguments: object) -> None:
    status, messages = command(*arguments)
    if status:
        raise FaultError(f"status {status}: {messages[-300:]}")


def same(first: Path, second: Path) -> None:
    if not (zarr.open_array(first / "0", mode="r")[:] == zarr.open_array(second / "0", mode="r")[:]).all():
        raise FaultError("another result than undisturbed")


@contextmanager
def small_disk(folder: Path, megabytes: float) -> Iterator[None]:
    """Mount a small file system at a folder."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={int(megabytes * 1024)}k", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def enlarge(folder: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=1g", folder], check=True)
