"""Starts one run: mounts its view of the project, then becomes the command.

Run as ``python -I -S launcher.py SPEC DESCRIPTOR`` with the auditor's interpreter; standard library only. SPEC is a
JSON file: ``command`` (null: only try the mounts), ``cwd``, ``parent`` (the auditor's pid), ``layers`` (overlays:
target, upper, work), ``binds`` (pairs of paths) and ``fixed_addresses`` (true: memory is not laid out at random, where
the kernel lets us say so). What goes wrong is written to DESCRIPTOR as JSON (``stage``,
``errno``, ``message``); it closes without a word where the command has taken over.
"""

import ctypes
import errno
import json
import os
import signal
import sys

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
PR_SET_PDEATHSIG = 1
ADDR_NO_RANDOMIZE = 0x0040000  # linux/personality.h

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)


def check(result: int, what: str) -> None:
    """Raise OSError where a call of the C library failed."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


def unshare() -> bool:
    """Enter a mount namespace of our own; returns whether that took a user namespace, as it does without privileges."""
    if _libc.unshare(CLONE_NEWNS) == 0:
        return False
    if ctypes.get_errno() != errno.EPERM:
        check(-1, "unshare")
    uid, gid = os.geteuid(), os.getegid()
    check(_libc.unshare(CLONE_NEWUSER | CLONE_NEWNS), "unshare")
    # The same ids inside as outside; the capabilities that come with the namespace go with exec.
    for name, text in (("setgroups", "deny"), ("uid_map", f"{uid} {uid} 1"), ("gid_map", f"{gid} {gid} 1")):
        with open(f"/proc/self/{name}", "w") as file:
            file.write(text)
    return True


def mount_view(layers: "list[list[str]]", binds: "list[list[str]]") -> None:
    """Bind what the run may reach at another path, then lay an overlay over each directory."""
    in_user_namespace = unshare()
    check(_libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "making mounts private")
    for source, target in binds:
        check(_libc.mount(os.fsencode(source), os.fsencode(target), None, MS_BIND | MS_REC, None), "bind mount")
    # By descriptor: a nested mount cannot be reached by its path any more once its parent is overlaid, and no
    # character of a path needs escaping.
    opened = [[os.open(path, os.O_PATH | os.O_DIRECTORY) for path in layer] for layer in layers]
    special = ("userxattr",) if in_user_namespace else ("redirect_dir=on,metacopy=off", "metacopy=off", "")
    for (target, _, _), (lower, upper, work) in zip(layers, opened):  # noqa: B905  lengths agree; strict= is 3.10
        where = f"lowerdir=/proc/self/fd/{lower},upperdir=/proc/self/fd/{upper},workdir=/proc/self/fd/{work}"
        for attempt, option in enumerate(special, start=1):
            options = f"{where},{option}" if option else where
            result = _libc.mount(b"overlay", os.fsencode(target), b"overlay", 0, options.encode())
            if result == 0 or ctypes.get_errno() != errno.EINVAL or attempt == len(special):
                check(result, "overlay mount")
                break
    for layer_descriptors in opened:
        for descriptor in layer_descriptors:
            os.close(descriptor)


def main(spec_path: str, report: int) -> None:
    """Become the command of the spec; returns only where that failed, or nothing was to be started."""
    os.set_inheritable(report, False)
    stage = "spec"
    try:
        with open(spec_path, encoding="ascii") as file:
            spec = json.load(file)
        if spec["layers"]:
            stage = "mount"
            mount_view(spec["layers"], spec["binds"])
        stage = "cwd"
        os.chdir(spec["cwd"])
        if spec["command"] is None:
            return
        if spec["fixed_addresses"]:
            # Kept across exec and fork; where a container forbids it the run shows that it was not heard.
            _libc.personality(_libc.personality(0xFFFFFFFF) | ADDR_NO_RANDOMIZE)
        stage = "exec"
        # After the namespaces, since a change of credentials clears it. If the auditor is killed, so is the command.
        check(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")
        if os.getppid() != spec["parent"]:
            sys.exit(1)
        # Python ignores these two; the command must find them as it would in a shell.
        for name in ("SIGPIPE", "SIGXFSZ"):
            signal.signal(getattr(signal, name), signal.SIG_DFL)
        # The environment as we were given it: this interpreter may have added LC_CTYPE to its own.
        with open("/proc/self/environ", "rb") as file:
            pairs = [entry.partition(b"=") for entry in file.read().split(b"\0") if b"=" in entry]
        environment = {name: value for name, _, value in pairs}
        command = [os.fsencode(word) for word in spec["command"]]
        os.execvpe(command[0], command, environment)
    except OSError as error:
        fault = {"stage": stage, "errno": error.errno, "message": error.strerror or str(error)}
        os.write(report, json.dumps(fault).encode())
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
