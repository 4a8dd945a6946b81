"""How the command line says that something went wrong: what, what to do, and where to read more; never a traceback."""

from __future__ import annotations

import errno
import sys
import traceback
from pathlib import Path

from auditor.errors import AuditorError, ExitCode, Inconclusive, UsageError

REPORT_AT = "the project's issue tracker"


def show(error: AuditorError) -> int:
    """Print the error on stderr and return its exit code."""
    what, *more = error.what.splitlines() or [""]
    lines = [f"auditor: {what}", *(f"  {line}" for line in more)]
    lines += [f"  to do: {error.remedy}", f"  ({error.slug}; auditor explain {error.slug})"]
    say("\n".join(lines))
    return int(error.exit_code)


def say(text: str) -> None:
    """Print on stderr, whatever its encoding can show; a closed stderr is no reason to fail."""
    stream = sys.stderr
    if stream is None:
        return
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        stream.flush()
    except (BrokenPipeError, ValueError):
        return


def interrupted() -> AuditorError:
    """Ctrl-C where there is nothing to resume."""
    return Inconclusive("interrupted", "interrupted", "start it again when you are ready")


def fault(error: Exception, *, debug: bool = False, directory: Path | None = None) -> int:
    """Say that the auditor itself failed, keep the traceback, and return the exit code.

    The traceback goes to a file in ``directory`` (by default ``.auditor/`` here), or to the screen with ``debug``. What
    the operating system refused (a full disk, a directory without permission) is the user's to mend, and said so.
    """
    refused = from_system(error)
    if refused is not None and not debug:
        return show(refused)
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    summary = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    lines = [f"auditor: a fault of the auditor's own: {summary}"]
    if debug:
        lines.append(text.rstrip())
    else:
        kept = _keep(text, directory or Path(".auditor"))
        where = f"the traceback is in {kept}" if kept is not None else "run it again as: auditor --debug ..."
        lines.append(f"  to do: please report it at {REPORT_AT}; {where}")
    lines.append("  (fault; auditor explain fault)")
    say("\n".join(lines))
    return int(ExitCode.INTERNAL)


def from_system(error: Exception) -> AuditorError | None:
    """The error to show for what the operating system refused, or None for anything else."""
    if not isinstance(error, OSError):
        return None
    named = f": {error.filename}" if error.filename is not None else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return UsageError(
            "disk-full",
            f"the disk is full{named}",
            "make room, or let it be written elsewhere; an audit that had begun goes on with --resume",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return UsageError(
            "cannot-write",
            f"the system does not allow it{named} ({error.strerror})",
            "check whose it is and its mode; an audit that had begun goes on with --resume",
        )
    return None


def _keep(text: str, directory: Path) -> Path | None:
    """Write the traceback where it can be found: in ``directory``, else in the temporary directory; None if nowhere."""
    import hashlib
    import tempfile

    name = f"fault-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:8]}.txt"
    for place in (directory, Path(tempfile.gettempdir())):
        try:
            place.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(text, encoding="utf-8", errors="replace")
        except OSError:
            continue
        return place / name
    return None
