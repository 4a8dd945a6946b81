"""The hash of file names and files, without what loading ``hashlib`` brings into a process that does not use it."""

try:
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

__all__ = ["blake2b"]
