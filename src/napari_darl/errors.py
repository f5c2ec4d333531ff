"""Errors and warnings. Each message says what is wrong and what to do about it."""


class DarlError(Exception):
    """Base class of errors that the user can fix. The message is shown verbatim."""


class InputError(DarlError, ValueError):
    """An invalid array, stack or option."""


class FileError(DarlError, OSError):
    """A file or folder that is missing, unreadable or damaged, or that would be overwritten."""


class CheckpointError(FileError):
    """An invalid model or checkpoint file."""


class DarlWarning(UserWarning):
    """Something that the user should know, though the work goes on."""
