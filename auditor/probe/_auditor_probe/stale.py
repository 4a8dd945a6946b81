"""Notices reads of files that changed since the audit began: what one run wrote, another must not read."""

import os
import stat
import sys

_stat = os.stat
MAXIMUM_RECORDS = 100
# Reads of these say nothing about an earlier run: the system's own, and caches that hold derived data.
_UNREMARKABLE = ("/proc/", "/sys/", "/dev/", "/etc/", "/run/", "/usr/", "/lib", "/var/lib/", "/opt/")


class StaleReads:
    """Sends a line for each file that is opened for reading and was changed between the audit's and the run's start.

    Times in nanoseconds since the epoch. Files are seen by the interpreter's audit events, whoever opens them; what a C
    library opens by itself is not seen, but for SQLite.
    """

    def __init__(self, session, audit_started, run_started):
        self._session = session
        self._from = audit_started
        self._until = run_started
        self._seen = set()
        caches = [os.environ.get("XDG_CACHE_HOME"), os.environ.get("HF_HOME"), os.environ.get("MPLCONFIGDIR")]
        home = os.path.expanduser("~")
        caches += [os.path.join(home, ".cache"), os.path.join(home, ".config")]
        prefixes = [c for c in caches if c] + [sys.prefix, sys.base_prefix]
        self._unremarkable = _UNREMARKABLE + tuple(os.path.join(p, "") for p in prefixes)

    def watch(self):
        """Begins to watch; an audit hook is no patch, so this can begin with the handshake."""

        def hook(event, args):
            # Called for every audit event of the process: the common ones must cost one comparison.
            if event == "open":
                self._opened(args[0], args[2])
            elif event == "sqlite3.connect":
                self._opened(args[0], os.O_RDWR)

        sys.addaudithook(hook)

    def _opened(self, path, flags):
        try:
            if (
                isinstance(path, int)
                or path is None
                or (isinstance(flags, int) and flags & os.O_ACCMODE == os.O_WRONLY)
            ):
                return
            status = _stat(path)
            if self._from <= status.st_mtime_ns < self._until and stat.S_ISREG(status.st_mode):
                self._session.guard("stale read", self._tell, os.path.realpath(os.fsdecode(path)))
        except (OSError, ValueError, TypeError):
            return  # no such file: nothing to read

    def _tell(self, name):
        if name.startswith(self._unremarkable) or name.endswith(".pyc"):
            return
        if name in self._seen or len(self._seen) >= MAXIMUM_RECORDS:
            return
        self._seen.add(name)
        session = self._session
        place, _caller = session.places.find(sys._getframe(1))
        session.send("stale-read", {"path": name, "place": place, "step": session.step})
