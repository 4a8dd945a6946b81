"""The command line: one file per verb; each parses, calls the pipeline and returns an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated, Any, cast

import typer

from auditor import __version__
from auditor.cli import problems
from auditor.errors import AuditorError, ExitCode, UsageError

# Typer carries its own copy of click from 0.26 on; its public exception is the way to the base of all of them.
_Malformed = cast("type[Exception]", typer.BadParameter.__mro__[2])

# Each is a function of its name, in the module of its name.
_VERBS = {
    "run": "Run a training command twice, or with many seeds.",
    "report": "Recompute a verdict; make any report again.",
    "fingerprint": "Describe an interpreter and this machine.",
    "compare": "Compare machines and audits; say what they can reach.",
    "lock": "Write down what an environment is.",
    "verify": "Hold an environment against its lock.",
    "claims": "Hold a paper's claims to the results that it rests on.",
    "check": "Read source for what endangers reproducibility.",
    "recipe": "Print a module that seeds every random stream.",
    "explain": "Say what an error means, or what a rule looks for.",
}


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"auditor {__version__}")
        raise typer.Exit


def _listed() -> None:
    """Stands for a verb that is listed and not called: doing nothing must not pass for success."""
    raise RuntimeError("the verb that was called is not the one that was made")


def _application(verb: str) -> typer.Typer:
    """All verbs by name, and ``verb`` with its options: making those of all takes longer than starting Python."""
    # Rich takes longer to import than all the rest, and help is plain text.
    application = typer.Typer(
        name="auditor",
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
    )

    @application.callback()
    def _options(
        debug: Annotated[
            bool, typer.Option("--debug", help="Show the traceback of a fault of the auditor's own.")
        ] = False,
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
        ] = False,
    ) -> None:
        """Audit how reproducible a training command is, without changing it.

        Exit codes: 0 the required level was reached (or none was required), 1 it was not, 2 usage or configuration,
        3 inconclusive or interrupted, 4 the training program itself failed, 70 a fault of the auditor.
        """

    for name, what in _VERBS.items():
        application.command(
            name=name,
            short_help=what,
            # Everything after the first word that is no option of ours belongs to the audited command, untouched.
            context_settings={"allow_interspersed_args": name != "run"},
        )(getattr(import_module(f"auditor.cli.{name}"), name) if name == verb else _listed)
    return application


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (``sys.argv`` by default) and return the exit code; no exception leaves this function."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # it was closed by whoever called
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (for as long as the process lives)
    try:
        verb = next((word for word in words if not word.startswith("-")), "")
        result = _application(verb)(words, prog_name="auditor", standalone_mode=False)
    except AuditorError as error:
        return problems.show(error)
    except typer.Abort:
        return problems.show(problems.interrupted())
    except KeyboardInterrupt:
        return problems.show(problems.interrupted())
    except _Malformed as error:
        return _malformed(error)
    except Exception as error:
        return problems.fault(error, debug="--debug" in words[:2])
    return int(result or 0)


def _malformed(error: Any) -> int:
    message: str = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":
        typer.echo(message, err=True)
        return ExitCode.USAGE
    context = getattr(error, "ctx", None)
    verb = context.command_path if context is not None else "auditor"
    return problems.show(UsageError("bad-usage", message.rstrip("."), f"{verb} --help lists what there is"))
