"""Audits how reproducible an unmodified training command is, and says why not."""

__version__ = "0.1.0"
