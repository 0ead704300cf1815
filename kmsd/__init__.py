"""A key management server on Twisted."""

__version__ = "0.1.0"
