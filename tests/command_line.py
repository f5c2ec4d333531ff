"""The command line in the process of a test."""

import sys

import pytest

from napari_darl import cli


def run(*arguments: object) -> int:
    """Exit status of `napari-darl ARGUMENTS`, in this process."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["napari-darl", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_:
            cli.main()
    return int(exit_.value.code or 0)
