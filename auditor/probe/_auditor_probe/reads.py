"""The data of a run: which regular files it opened for reading that it did not write itself, each once."""

import os
import site
import stat
import sys

from .hashing import blake2b

# How many files are told. Of more, those whose names hash lowest: the same ones whatever order they are read in, and
# how many there are can be told from how low they lie (Bar-Yossef et al., "Counting distinct elements", 2002).
KEPT = 2048
_ALL = 1 << 64
_SYSTEM = (
    "/bin/", "/boot/", "/dev/", "/etc/", "/lib/", "/lib32/", "/lib64/", "/libx32/", "/proc/", "/run/", "/sbin/",
    "/sys/", "/usr/", "/var/cache/", "/var/lib/",
)  # fmt: skip
# Code, not data: what was imported is told apart.
_CODE = (".py", ".pyc", ".pyi", ".pyo", ".pth", ".so")
_PACKAGED = (
    "/site-packages/", "/dist-packages/", ".dist-info/", ".egg-info/", "/__pycache__/", "/.git/", "/.auditor/",
    "/torchinductor_", "/torch_extensions/",
)  # fmt: skip
# What lies hidden in a home directory is configuration and derived data, but for these downloads.
_DOWNLOADS = (
    "/huggingface/hub/", "/huggingface/datasets/", "/torch/hub/checkpoints/", "/torch/sentence_transformers/",
    "/.keras/datasets/", "/.keras/models/", "/kagglehub/", "/nltk_data/", "/scikit_learn_data/",
)  # fmt: skip
_CREDENTIALS = ("token", "stored_tokens")
_NO_DATA = object()
_stat = os.stat
_is_regular = stat.S_ISREG
MAXIMUM_LABELS = 4096
_from_bytes = int.from_bytes


class Reads:
    """Collects the files that a process opened for reading; nothing here opens any.

    ``began`` is when the run started, in nanoseconds since the epoch: what changed after it, the run wrote itself.
    """

    def __init__(self, project, began):
        self._began = began
        self._project = os.path.join(project, "") if project else None
        self._limit = _ALL
        self._files = {}
        self._labels = {}
        home = os.path.join(os.path.expanduser("~"), "")
        hidden = [home + "."]
        for name in ("XDG_CACHE_HOME", "MPLCONFIGDIR"):
            if os.environ.get(name):
                hidden.append(os.path.join(os.environ[name], ""))
        self._hidden = tuple(hidden)
        prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, os.path.dirname(os.path.abspath(os.__file__))}
        if site.ENABLE_USER_SITE and site.USER_BASE:
            prefixes.add(os.path.join(site.USER_BASE, "lib"))
        prefixes |= {os.path.realpath(prefix) for prefix in prefixes}
        prefixes.add(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        ours = [os.path.join(prefix, "") for prefix in prefixes]
        self._prefixes = tuple(prefix for prefix in ours if prefix != "/")
        # An environment inside the project is none of its data; a project inside an environment's directory is.
        # Where the project's directory is the environment's itself, what is packaged is known by its path.
        project = self._project
        self._inside = tuple(p for p in self._prefixes if project and p != project and p.startswith(project))

    def note(self, path, status):
        """Remembers a regular file by the path that it was opened by, and what ``stat`` said before."""
        if status.st_ctime_ns >= self._began:
            return
        if type(path) is not str:
            path = os.fsdecode(path)
        directory, _, base = path.rpartition("/")
        label = self._labels.get(directory)
        if label is None:
            label = self._label(directory, path)
        # Files with a dot before their names are settings, and may hold secrets.
        if label is _NO_DATA or base.endswith(_CODE) or base.startswith("."):
            return
        name = label + base
        # Of a million files most end here: their names hash too high.
        key = _from_bytes(blake2b(name.encode("utf-8", "surrogateescape"), digest_size=8).digest(), "big")
        if key >= self._limit or key in self._files or base in _CREDENTIALS:
            return
        self._files[key] = (name, status.st_size, status.st_mtime_ns)
        if len(self._files) > 2 * KEPT:
            self._prune()

    def note_mapped(self, paths):
        """Remembers files by the paths that they are mapped from."""
        for path in paths:
            try:
                status = _stat(path)
            except OSError:
                continue
            if _is_regular(status.st_mode):
                self.note(path, status)

    def moved(self):
        """What a directory was called is no longer known: the working directory changed, or something was renamed."""
        self._labels.clear()

    def _label(self, directory, path):
        """What comes before a file's own name in the trace; ``_NO_DATA`` for a directory that holds none."""
        if not path.startswith("/"):
            directory = os.path.join(os.getcwd(), directory)
        label = self._classified(os.path.join(os.path.normpath(directory), ""))
        if len(self._labels) < MAXIMUM_LABELS:
            self._labels[path.rpartition("/")[0]] = label
        return label

    def _classified(self, directory):
        if any(part in directory for part in _PACKAGED):
            return _NO_DATA
        if self._project and directory.startswith(self._project):
            inside = bool(self._inside) and directory.startswith(self._inside)
            return _NO_DATA if inside else directory[len(self._project) :]
        if directory.startswith(_SYSTEM) or directory.startswith(self._prefixes):
            return _NO_DATA
        if directory.startswith(self._hidden) and not any(part in directory for part in _DOWNLOADS):
            return _NO_DATA
        return directory

    def told(self):
        """The fields of the line: name, size and time of modification of each file, and whether there are more."""
        self._prune()
        files = sorted(self._files.values())
        return {
            "files": [[_shown(name), size, modified] for name, size, modified in files],
            "more": self._limit != _ALL,
        }

    def forget(self):
        """A forked child tells only what it reads itself."""
        self._files = {}
        self._limit = _ALL

    def _prune(self):
        if len(self._files) > KEPT:
            kept = sorted(self._files)[:KEPT]
            self._limit = kept[-1] + 1
            self._files = {key: self._files[key] for key in kept}


def _shown(name):
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
