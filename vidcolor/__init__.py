"""vidcolor: black-and-white film in, colour film out."""

__version__ = "0.1.0"
