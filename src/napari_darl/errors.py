"""The errors of the library: each message says what is wrong and what to do about it."""


class DarlError(Exception):
    """Anything that a user can mend; fronts show its message as it is."""


class InputError(DarlError, ValueError):
    """An array, a stack or an option that can't be worked with."""


class FileError(DarlError, OSError):
    """A file or folder that is missing, unreadable, damaged or in the way."""


class CheckpointError(FileError):
    """A model or checkpoint file that can't be used."""


class DarlWarning(UserWarning):
    """Something that a user should know, and that stops nothing."""
