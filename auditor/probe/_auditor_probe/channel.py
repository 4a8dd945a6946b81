"""One trace file per process: opened, appended to line by line, never raising into the caller."""

import fcntl
import json
import os
import sys
import time

# Above the numbers that programs hand out and close in bulk, below the usual limit of 1024.
FIRST_DESCRIPTOR = 700

_write = os.write
_fstat = os.fstat
_perf = time.perf_counter_ns
_dumps = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode


class File:
    """A file that is appended to, on a descriptor far from the program's own; opened at the first write."""

    def __init__(self, directory, name):
        self.name = name
        self._path = os.path.join(directory, name)
        self._descriptor = None
        self._identity = None

    def _ours(self):
        # A program may close every descriptor that it does not know, and reuse the number for a file of its own.
        if self._descriptor is None:
            return False
        try:
            status = _fstat(self._descriptor)
        except OSError:
            return False
        return (status.st_dev, status.st_ino) == self._identity

    def _open(self):
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            self._descriptor = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, FIRST_DESCRIPTOR)
        except OSError:  # a low limit on descriptors: keep the one we have
            self._descriptor = descriptor
        else:
            os.close(descriptor)
        status = _fstat(self._descriptor)
        self._identity = (status.st_dev, status.st_ino)

    def write(self, data):
        if not self._ours():
            self._open()
        written = _write(self._descriptor, data)
        while written < len(data):
            written += _write(self._descriptor, data[written:])

    def release(self):
        if self._ours():
            os.close(self._descriptor)
        self._descriptor = None


class Channel:
    """Appends records to this process's trace file and bytes to its tensor file."""

    def __init__(self, directory, tensors):
        self.began = _perf()
        name = f"{os.getpid()}-{time.time_ns()}"
        self.file = name + ".jsonl"
        self._trace = File(directory, self.file)
        self._tensors = File(tensors, name + ".bin") if tensors else None
        self._offset = 0
        self.broken = False

    def release(self):
        """Closes what this (forked) process inherited from its parent's channel."""
        self._trace.release()
        if self._tensors is not None:
            self._tensors.release()

    def elapsed(self):
        """Nanoseconds since the handshake."""
        return _perf() - self.began

    def send(self, kind, fields):
        """Writes one line; on any failure the trace ends here, which the auditor sees as a missing ``end``."""
        if self.broken:
            return
        record = {"t": kind}
        record.update(fields)
        text = _dumps(record)
        if "\\ud" in text:
            # A name of bytes that are no text, in words that every reader takes.
            text = _dumps(_plain(record))
        try:
            self._trace.write((text + "\n").encode("ascii"))
        except OSError:
            self.broken = True

    def keep(self, blocks):
        """Appends blocks (lists of buffers with their sizes) to the tensor file; returns where they lie, or None."""
        if self.broken or self._tensors is None:
            return None
        places = []
        buffers = []
        for block, size in blocks:
            places.append(f"{self._tensors.name}:{self._offset}:{size}")
            self._offset += size
            buffers += block
        try:
            self._tensors.write(b"".join(buffers))
        except OSError:
            self._tensors = None
            return None
        return " ".join(places)


class Places:
    """Turns stack frames into places: the user's own line, and the line that called."""

    def __init__(self, project):
        self._project = os.path.join(project, "") if project else None
        self._cwd = os.getcwd()
        library = os.path.dirname(os.path.abspath(os.__file__))
        self._stdlib = os.path.join(library, "")
        self._own = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")
        # How it enters, which is no line of the program's either.
        self._entry = os.path.join(os.path.dirname(os.path.dirname(self._own)), "sitecustomize.py")
        self._kinds = {}

    def kind(self, filename):
        """``own``, ``stdlib``, ``library`` or ``user``, by the file that holds the code."""
        kind = self._kinds.get(filename)
        if kind is None:
            if filename.startswith("<"):
                kind = "user" if filename in ("<stdin>", "<string>") else "stdlib"
            else:
                path = os.path.join(self._cwd, filename)
                if path.startswith(self._own) or path == self._entry:
                    kind = "own"
                elif "site-packages" in path or "dist-packages" in path:
                    kind = "library"
                elif path.startswith(self._stdlib) or path.startswith(os.path.join(sys.base_prefix, "lib", "")):
                    kind = "stdlib"
                else:
                    kind = "user"
            self._kinds[filename] = kind
        return kind

    def place(self, frame):
        """A frame as the wire's place: file relative to the project where it lies inside it."""
        return self.place_at(frame.f_code, frame.f_lineno)

    def place_at(self, code, line):
        """A line of code as the wire's place."""
        path = code.co_filename
        if not path.startswith("<"):
            path = self.absolute(path)
            if self._project and path.startswith(self._project):
                path = path[len(self._project) :]
        return {"file": path, "line": line or 0}

    def absolute(self, path):
        """A path that the program was started with, wherever it is by now."""
        return os.path.normpath(os.path.join(self._cwd, path))

    def in_project(self, path):
        """The name of one of the project's own source files, relative to it; None for any other file."""
        if self._project is None:
            return None
        if not path.startswith("/") or "/./" in path or "/../" in path:
            path = self.absolute(path)
        # Asked of thousands of modules, nearly all of them elsewhere.
        if not path.startswith(self._project) or self.kind(path) != "user":
            return None
        return path[len(self._project) :]

    def find(self, frame):
        """(the nearest user frame's place or None, the nearest frame's place outside the probe or None)."""
        caller = None
        while frame is not None:
            kind = self.kind(frame.f_code.co_filename)
            if kind != "own":
                if caller is None:
                    caller = frame
                if kind == "user":
                    return self.place(frame), self.place(caller)
            frame = frame.f_back
        return None, (self.place(caller) if caller is not None else None)

    def at_library_import(self, frame):
        """Whether a library runs this while it is being imported, rather than because user code called it."""
        while frame is not None:
            filename = frame.f_code.co_filename
            if filename.startswith("<frozen importlib"):
                return True
            if self.kind(filename) == "user":
                return False
            frame = frame.f_back
        return False

    def reached_from_user(self, frame, depth=8):
        """Whether the first frame outside the standard library and the probe is the user's own code."""
        while frame is not None and depth:
            kind = self.kind(frame.f_code.co_filename)
            if kind == "user":
                return True
            if kind == "library":
                return False
            frame = frame.f_back
            depth -= 1
        return False


def _plain(value):
    """The value with escapes for what its strings hold and text does not: halves of surrogate pairs."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode("utf-8")
    if isinstance(value, dict):
        return {_plain(name): _plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
