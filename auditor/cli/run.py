"""``auditor run``: audit a training command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli import output, problems
from auditor.errors import UsageError

if TYPE_CHECKING:
    from auditor.config import Request

# With --resume these alone may be given: what was asked for is in the evidence directory.
_ALLOWED_WITH_RESUME = frozenset({"resume", "quiet", "junit", "markdown", "json", "sarif", "fix_plan", "command"})


def run(
    context: typer.Context,
    command: Annotated[
        list[str] | None,
        # Typer's own line for an argument shows Python types; the docstring says what it is.
        typer.Argument(metavar="-- COMMAND", hidden=True),
    ] = None,
    require: Annotated[
        str | None,
        typer.Option(
            metavar="LEVEL",
            help="Exit 1 unless this level is reached: bit-exact, seed-stable or (with --seeds) distribution-stable.",
        ),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(metavar="N", help="The seed of every run, for {seed} and --seed-env; 1 by default.")
    ] = None,
    seed_env: Annotated[
        list[str], typer.Option(metavar="NAME", help="Give the seed in this environment variable too (repeatable).")
    ] = [],  # noqa: B006 (typer copies it)
    seeds: Annotated[
        str | None,
        typer.Option(metavar="SEEDS", help="Run many seeds: how many (5), which (11,22,33) or a range (1-10)."),
    ] = None,
    replicates: Annotated[
        int | None,
        typer.Option(
            metavar="K", help="How many times to run with the same seed: 2 by default, with --seeds each seed once."
        ),
    ] = None,
    retries: Annotated[
        int | None,
        typer.Option(metavar="N", help="With --seeds: how often a run that failed is tried again; once by default."),
    ] = None,
    reference: Annotated[
        list[str],
        typer.Option(
            metavar="WHAT",
            help="What the seeds are held to: the directory of an earlier study, or NAME=MEAN±STD,n=N (+- will do; "
            "repeatable).",
        ),
    ] = [],  # noqa: B006 (typer copies it)
    margin: Annotated[
        float | None,
        typer.Option(
            metavar="X", help="How far the mean may be from the reference's, in its standard deviations; 1 by default."
        ),
    ] = None,
    spread_margin: Annotated[
        float | None,
        typer.Option(metavar="X", help="The largest ratio of the spreads, either way; 2 by default."),
    ] = None,
    sweep_from: Annotated[
        tuple[Path, str] | None,
        typer.Option(
            metavar="DIR PATTERN",
            help="Run nothing: take the results in DIR that fit the pattern, such as 'seed_{seed}/results.json'.",
        ),
    ] = None,
    executor: Annotated[
        str | None,
        typer.Option(metavar="WHERE", help="Where runs are executed: local, docker (with --image), ray or slurm."),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(metavar="N", help="How many seeds to run at a time; as many as there is room for by default."),
    ] = None,
    cpus: Annotated[int | None, typer.Option(metavar="N", help="Cores, and so threads, of each run.")] = None,
    gpus: Annotated[int | None, typer.Option(metavar="N", help="GPUs of each run.")] = None,
    memory: Annotated[float | None, typer.Option(metavar="GIB", help="Memory of each run, in GiB.")] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="The Ray cluster to use; by default Ray is started on this machine."),
    ] = None,
    slurm: Annotated[
        list[str], typer.Option(metavar="KEY=VALUE", help="A parameter of Slurm jobs: partition=gpu (repeatable).")
    ] = [],  # noqa: B006 (typer copies it)
    steps: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Stop every run on purpose after N optimizer steps; what it writes later is not compared."
        ),
    ] = None,
    fail_fast: Annotated[
        bool, typer.Option("--fail-fast", help="End a run at its first divergence: answers bit-exact alone.")
    ] = False,
    timeout: Annotated[float | None, typer.Option(metavar="SECONDS", help="Time limit of each run.")] = None,
    metric: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=WHERE",
            help="A number to compare: GLOB:dotted.path or dotted.path in a result file, or /REGEX/ in the output "
            "(repeatable).",
        ),
    ] = [],  # noqa: B006 (typer copies it)
    tolerance: Annotated[
        list[str],
        typer.Option(
            metavar="NAME=VALUE",
            help="Absolute tolerance of the metrics that NAME is: a metric, its dotted path, a pattern of either, or "
            "left out for all; 0.01 by default (repeatable).",
        ),
    ] = [],  # noqa: B006 (typer copies it)
    ignore: Annotated[
        list[str], typer.Option(metavar="PATTERN", help="Metrics and files that decide nothing (repeatable).")
    ] = [],  # noqa: B006 (typer copies it)
    decide: Annotated[
        list[str],
        typer.Option(metavar="PATTERN", help="Metrics and files that decide though taken for volatile (repeatable)."),
    ] = [],  # noqa: B006 (typer copies it)
    diagnose: Annotated[
        bool | None,
        typer.Option(
            "--diagnose/--no-diagnose",
            help="Find out why, where the runs differ; by default where bit-exact was to be reached.",
            show_default=False,
        ),
    ] = None,
    diagnose_budget: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="How long the runs of a diagnosis may take; by default as long as the audit's own, at least 300.",
        ),
    ] = None,
    fix_plan: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the remedies here, as a diff; nothing is changed.")
    ] = None,
    keep: Annotated[
        list[str],
        typer.Option(
            metavar="FACTOR", help="Do not vary this between runs: hash-seed, tmpdir or directory-order (repeatable)."
        ),
    ] = [],  # noqa: B006 (typer copies it)
    isolation: Annotated[
        str, typer.Option(metavar="HOW", help="How runs are kept apart: auto, overlay or copy.")
    ] = "auto",
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The evidence directory; .auditor/<audit-id> by default.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Go on with an interrupted audit; takes no command.")
    ] = None,
    image: Annotated[
        str | None, typer.Option(metavar="IMAGE", help="Run in fresh containers of this image of yours.")
    ] = None,
    network: Annotated[bool, typer.Option("--network", help="Let those containers reach the network.")] = False,
    junit: Annotated[Path | None, typer.Option(metavar="FILE", help="Write JUnit XML here too.")] = None,
    markdown: Annotated[Path | None, typer.Option(metavar="FILE", help="Write Markdown here too.")] = None,
    json: Annotated[Path | None, typer.Option(metavar="FILE", help="Write audit.json here too.")] = None,
    sarif: Annotated[Path | None, typer.Option(metavar="FILE", help="Write SARIF here too, for a code host.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress, only the report.")] = False,
) -> int:
    """Run a training command twice, or with many seeds, under control and say how reproducible it is.

    COMMAND is the training command; {seed} in it is replaced by the seed.

    auditor run --require bit-exact -- python train.py --seed {seed}
    """
    from auditor.config import Resources, make_request, parse_slurm

    files = {"json": json, "junit": junit, "markdown": markdown, "sarif": sarif, "fix-plan": fix_plan}
    for name, path in files.items():
        if path is not None:
            output.check_writable(path, f"--{name}")
    if resume is not None:
        _refuse_beside_resume(context, command or [])
        from auditor import pipeline

        request = pipeline.request_to_resume(resume)
    else:
        taken, found = _seeds_elsewhere(command or [], reference, sweep_from)
        if sweep_from is not None:
            command = [sweep_from[1]]
        request = make_request(
            command or [],
            str(Path.cwd()),
            require=require,
            seed=seed,
            seed_env=seed_env,
            seeds=seeds,
            taken=taken,
            found=found,
            replicates=replicates,
            retries=retries,
            reference=[_absolute(text) for text in reference],
            margin=margin,
            spread_margin=spread_margin,
            steps=steps,
            fail_fast=fail_fast,
            timeout=timeout,
            metrics=metric,
            tolerances=tolerance,
            ignore=ignore,
            decide=decide,
            keep=keep,
            isolation=isolation,
            out=None if out is None else str(out.absolute()),
            executor=executor,
            resources=Resources(
                jobs=jobs, cpus=cpus, gpus=gpus, memory=memory, ray_address=ray_address, slurm=parse_slurm(slurm)
            ),
            image=image,
            network=network,
            sweep_from=None if sweep_from is None else str(sweep_from[0].absolute()),
            diagnose=diagnose,
            diagnose_budget=diagnose_budget,
        )
    return _audit(request, files, quiet)


def _seeds_elsewhere(
    command: list[str], reference: list[str], sweep_from: tuple[Path, str] | None
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The seeds of the reference, and those that there are results of; nothing is looked up where neither is named."""
    from auditor import pipeline

    taken = pipeline.seeds_of_reference(reference) if reference else ()
    if sweep_from is None:
        return taken, ()
    if command:
        raise UsageError(
            "bad-sweep",
            f"--sweep-from runs nothing, and a command is given: {command[0]!r}",
            "write the pattern in quotes: auditor run --sweep-from DIR 'seed_{seed}/results.json'",
        )
    return taken, pipeline.seeds_found(str(sweep_from[0]), sweep_from[1])


def _absolute(reference: str) -> str:
    """A directory that is named as a reference, wherever the audit is gone on with; figures as they are."""
    path = Path(reference)
    return str(path.absolute()) if path.is_dir() else reference


def _refuse_beside_resume(context: typer.Context, command: list[str]) -> None:
    given = [
        "--" + name.replace("_", "-")
        for name in context.params
        if name not in _ALLOWED_WITH_RESUME
        and getattr(context.get_parameter_source(name), "name", "") not in ("DEFAULT", "DEFAULT_MAP", "")
    ]
    if command:
        given.append("a command")
    if given:
        raise UsageError(
            "resume-takes-nothing-else",
            f"--resume goes on with what was asked for; it cannot be combined with {', '.join(given)}",
            "leave them out, or start a new audit without --resume",
        )


def _audit(request: Request, files: dict[str, Path | None], quiet: bool) -> int:
    from auditor import pipeline
    from auditor.cli.progress import Screen

    with Screen(quiet) as screen:
        audit = pipeline.audit(request, screen.show)
    directory = _short(pipeline.directory_of(request, audit))
    for name, path in files.items():
        if path is not None:
            output.save(path, output.renderer(name)(audit), f"--{name}")
    output.show(audit, str(directory))
    problem = pipeline.problem(audit, directory)
    if problem is not None:
        problems.show(problem)
    return pipeline.exit_code(audit)


def _short(path: Path) -> Path:
    """The path as seen from here where it lies below, else as it is."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path
