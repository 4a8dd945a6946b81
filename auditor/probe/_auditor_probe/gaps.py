"""Watches audit events: the files that are read, stale ones among them, and children that are not seen."""

import os
import stat
import sys

_stat = os.stat
MAXIMUM_RECORDS = 100
MAXIMUM_DECIDED = 1 << 15
_WRITTEN = os.O_ACCMODE | os.O_TRUNC
_KIND = stat.S_IFMT(0o177777)
_REGULAR = stat.S_IFREG
# Reads of these say nothing about an earlier run: the system's own, and caches that hold derived data.
_UNREMARKABLE = ("/proc/", "/sys/", "/dev/", "/etc/", "/run/", "/usr/", "/lib", "/var/lib/", "/opt/")


class Gaps:
    """Sends a line for each file that is read and was changed between the audit's and the run's start, and for each
    Python child that is started so that the probe cannot enter it.

    Times in nanoseconds since the epoch. Files are seen by the interpreter's audit events, whoever opens them; what a C
    library opens by itself is not seen, but for SQLite.
    """

    def __init__(self, session, audit_started, run_started, reads):
        self._session = session
        self._from = audit_started
        self._until = run_started
        self._reads = reads
        self._seen = set()
        # Paths, as they were given, that were opened before: a program may open one file a hundred thousand times.
        self._decided = set()
        caches = [os.environ.get("XDG_CACHE_HOME"), os.environ.get("HF_HOME"), os.environ.get("MPLCONFIGDIR")]
        home = os.path.expanduser("~")
        caches += [os.path.join(home, ".cache"), os.path.join(home, ".config")]
        prefixes = [c for c in caches if c] + [sys.prefix, sys.base_prefix]
        self._unremarkable = _UNREMARKABLE + tuple(os.path.join(p, "") for p in prefixes)

    def watch(self):
        """Begins to watch; an audit hook is no patch, so this can begin with the handshake."""

        handlers = {
            "open": self._opened,
            "sqlite3.connect": self._connected,
            "os.rename": self._moved,
            "os.remove": self._moved,
            "os.chdir": self._moved,
            "subprocess.Popen": lambda args: self._started(args[0], args[1], args[3]),
            "os.posix_spawn": lambda args: self._started(args[0], args[1], args[2]),
            "os.exec": self._replaced,
        }

        def hook(event, args):
            # Called for every audit event of the process: the common ones must cost one look.
            if event in handlers:
                handlers[event](args)

        sys.addaudithook(hook)

    def _opened(self, args):
        if len(args) != 3:
            return  # a program's own event of that name
        path, _, flags = args
        named = type(path) is str
        if named:
            # A path that was decided once is not asked about again; compiled code is opened for every import.
            if path in self._decided or path.endswith(".pyc"):
                return
        elif isinstance(path, int) or path is None:
            return
        if type(flags) is not int:
            flags = 0
        # What is opened to be written, or is emptied first, is not read.
        if flags & _WRITTEN and (flags & os.O_ACCMODE == os.O_WRONLY or flags & os.O_TRUNC):
            return
        try:
            status = _stat(path)
        except (OSError, ValueError, TypeError):
            return  # no such file: nothing to read
        if status.st_mode & _KIND == _REGULAR:
            modified = status.st_mtime_ns
            if self._from <= modified < self._until:
                self._session.guard("stale read", self._tell, path)
            if not flags & os.O_APPEND:
                try:
                    self._reads.note(path, status)
                except Exception as error:
                    self._session.failed("reads", error)
        if named and len(self._decided) < MAXIMUM_DECIDED:
            self._decided.add(path)

    def _connected(self, args):
        self._opened((args[0], None, os.O_RDWR))

    def _moved(self, args):
        # Another file may be what a path leads to from here on.
        self._decided.clear()
        self._reads.moved()

    def _replaced(self, args):
        self._started(args[0], args[1], args[2])
        self._session.guard("exec", self._session.end, "os.exec")

    def _started(self, executable, arguments, environment):
        self._session.guard("child", self._look_at_child, executable, arguments, environment)

    def _look_at_child(self, executable, arguments, environment):
        if isinstance(arguments, (str, bytes, os.PathLike)):
            arguments = [arguments]
        words = [os.fsdecode(word) for word in arguments]
        name = os.path.basename(os.fsdecode(executable) if executable else words[0])
        if not name.startswith(("python", "pypy")):
            return
        names = {os.fsdecode(n) for n in (os.environ if environment is None else environment)}
        without = not {"_AUDITOR_PROBE", "PYTHONPATH"} <= names or _isolated(words[1:])
        label = " ".join([name, *(os.path.basename(word) for word in words[1:2])])[:80]
        if without and label not in self._seen:
            self._seen.add(label)
            place, _caller = self._session.places.find(sys._getframe(1))
            self._session.send("unwatched", {"child": label, "place": place, "step": self._session.step})

    def _tell(self, path):
        name = os.path.realpath(os.fsdecode(path))
        if name.startswith(self._unremarkable) or name.endswith(".pyc"):
            return
        if name in self._seen or len(self._seen) >= MAXIMUM_RECORDS:
            return
        self._seen.add(name)
        session = self._session
        place, _caller = session.places.find(sys._getframe(1))
        session.send("stale-read", {"path": name, "place": place, "step": session.step})


def _isolated(arguments):
    """Whether an interpreter with these arguments ignores its environment or its site (``-I``, ``-E``, ``-S``)."""
    for word in arguments:
        if not word.startswith("-") or word[1:2] in ("c", "m", "-", ""):
            return False
        if word[1] not in "WX" and set("IES") & set(word):
            return True
    return False
