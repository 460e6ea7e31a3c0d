"""Every error vidcolor raises on purpose.

    VidcolorError                 exit code 1
    |-- UsageError                exit code 2: the command was given something it can't take
    |   `-- SettingsError         a preset, TOML file or flag with an unknown key or bad value
    |-- SourceError               a file that is missing, unreadable, or holds no film
    |   `-- ColorSourceError      a film that already has colour
    |-- OutputError               a target that exists, can't be written, or a disk that is full
    |-- EncoderError              an encoder that is missing or refuses its options
    |-- WeightsError              weights that are missing, damaged, or of another network
    |-- DeviceError               a device that isn't there or has run out of memory
    |-- JobError                  a job folder that doesn't fit this command, or is in use
    `-- TrainingError             data or a checkpoint that can't be trained from

A message is one sentence for a person: what was given, what was expected, what to try.
The command line prints it and exits with `exit_code`; the library raises it.
"""

from __future__ import annotations


class VidcolorError(Exception):
    """Root of the tree; its message is complete and meant for people."""

    exit_code = 1


class UsageError(VidcolorError):
    """The command or call was given something it can't take."""

    exit_code = 2


class SettingsError(UsageError):
    """A preset, TOML file or flag holds an unknown key or a bad value."""


class SourceError(VidcolorError):
    """A source is missing, unreadable, or holds no film."""


class ColorSourceError(SourceError):
    """The source already has colour, and recolouring was not asked for."""


class OutputError(VidcolorError):
    """The target exists, can't be written, or its disk is full."""


class EncoderError(VidcolorError):
    """An encoder is missing or refuses what it was asked for."""


class WeightsError(VidcolorError):
    """Weights are missing, damaged, or belong to another network."""


class DeviceError(VidcolorError):
    """A device isn't there, or has run out of memory."""


class JobError(VidcolorError):
    """A job folder doesn't fit this command, or another process holds it."""


class TrainingError(VidcolorError):
    """Data, a recipe or a checkpoint can't be trained from."""
