"""Typed errors, whose messages name the value, what was expected and the remedy, and how a command ends after an error."""


class CracklabError(Exception):
    """An error that the user can correct; it ends a command with `exit_code`."""

    exit_code = 2
    """2 for invalid arguments or bad data, 1 if the work itself failed."""


class ConfigError(CracklabError):
    """A configuration value, or a combination of values, that cannot work."""


class DataError(CracklabError):
    """Files, masks or splits that would spoil training."""


class RunError(CracklabError):
    """A run folder or a checkpoint that does not fit the request."""


class RunFailure(RunError):
    """A run that started and cannot continue."""

    exit_code = 1
