"""The errors' catalogue: what each slug means and what to do; ``docs/errors/`` is generated from it."""

from __future__ import annotations

from typing import NamedTuple


class Page(NamedTuple):
    """One error: its exit code, what it means, what to do, and an example of doing so."""

    exit_code: int
    meaning: str
    remedy: str
    example: str


PAGES: dict[str, Page] = {
    "audit-in-progress": Page(
        2,
        "Another auditor is writing to this evidence directory. Two would spoil each other's evidence.",
        "Wait until the other has ended, or end it; then go on with --resume.",
        "auditor run --resume .auditor/<audit-id>",
    ),
    "bad-configuration": Page(
        2,
        "The table [tool.auditor.check] of a pyproject.toml cannot be used: a key that there is not, a value of "
        "another kind, or a pattern that is none. Nothing was read.",
        "Mend what the message names. There are select and ignore (rules), exclude (patterns of files, as in "
        ".gitignore) and allow (rules by pattern).",
        "printf '%s\\n' '[tool.auditor.check]' 'allow = { \"tests/**\" = [\"unsorted-listing\"] }' >> pyproject.toml "
        "&& auditor check",
    ),
    "bad-image": Page(
        2,
        "The name after --image is empty.",
        "Name the image as you would for docker run: a tag, a digest or an id.",
        "auditor run --image my-training:latest -- python train.py --seed {seed}",
    ),
    "bad-ledger": Page(
        2,
        "The ledger of claims cannot be used: it is no TOML, has a key or a value that does not belong there, names "
        "files outside of its own directory, or leaves open which way a metric is better. Nothing was judged.",
        "Mend what the message names. A ledger has sources, as [[results]] with files (a pattern with {method}, "
        "{dataset} and {seed}) or a table, and claims, as [[claim]] with a kind: value, order, rank, friedman, "
        "post-hoc, kendall-w or critical-difference.",
        "auditor claims claims.toml",
    ),
    "bad-metric": Page(
        2,
        "A --metric is not of a form that can be used, names a metric twice, or holds a regular expression "
        "that does not compile or has no group.",
        "Give NAME=GLOB:dotted.path for a number in a result file, NAME=dotted.path for any result file, or "
        "NAME=/REGEX/ for the program's output; the first group of the expression is the number, and every "
        "match counts.",
        "auditor run --metric 'rmse=seed_*/results.json:test.rmse' --metric 'loss=/loss: ([0-9.]+)/' -- "
        "python train.py",
    ),
    "bad-number": Page(
        2,
        "A number on the command line is outside of what makes sense: fewer than two replicates, no steps, a "
        "time limit that is not positive, or a negative seed.",
        "Give a number in the range that the message names.",
        "auditor run --replicates 5 --timeout 3600 -- python train.py --seed {seed}",
    ),
    "bad-reference": Page(
        2,
        "What is named after --reference cannot be used: it is neither the evidence directory of a study "
        "nor figures of the form NAME=MEAN±STD,n=N, or the figures describe no sample, or two references "
        "are given where one is meant.",
        "Name the directory of an earlier auditor run with --seeds, or give the figures that were "
        "published, one --reference for each metric. The standard deviation divides by n − 1.",
        "auditor run --seeds 10 --reference rmse=7.72±0.66,n=5 --metric rmse=test.rmse -- python train.py "
        "--seed {seed}",
    ),
    "bad-rule": Page(
        2,
        "A file of the rulebook, or one that another distribution adds to it, is no rule: it defines no RULE, has no "
        "sense, is named otherwise than its rule, has the id of another one, or cannot be loaded.",
        "Mend the file that the message names, or uninstall the distribution that brings it. docs/checks.md says what "
        "a rule is.",
        "auditor explain",
    ),
    "bad-seed-env": Page(
        2,
        "The name after --seed-env cannot be the name of an environment variable.",
        "Use letters, digits and underscores, and no digit first.",
        "auditor run --seed-env PL_GLOBAL_SEED -- python train.py",
    ),
    "bad-seeds": Page(
        2,
        "What is named after --seeds cannot be used: no number, no range, or a single seed, which has no spread.",
        "Give how many seeds to run, or name them one by one, as ranges, or both.",
        "auditor run --seeds 1-10,42 -- python train.py --seed {seed}",
    ),
    "bad-sweep": Page(
        2,
        "Results that exist already cannot be taken from there: the directory does not exist, the pattern "
        "has no {seed} in it or leads out of the directory, or it fits no file.",
        "Write the path of one result file, seen from the directory, with {seed} where its seed stands; * "
        "stands for what differs otherwise. Put it in quotes.",
        "auditor run --sweep-from results 'FD001/seed_{seed}/results.json'",
    ),
    "bad-tolerance": Page(
        2,
        "A --tolerance is not NAME=VALUE with a finite value of 0 or more, or one name was given two values.",
        "Tolerances are absolute, in the metric's own unit. A value without a name holds for every metric.",
        "auditor run --tolerance rmse=0.05 -- python train.py --seed {seed}",
    ),
    "bad-usage": Page(
        2,
        "The command line could not be understood: an unknown verb or option, or a value of the wrong kind.",
        "See --help of the verb. Options of the auditor come before the command that is audited; put two "
        "dashes between.",
        "auditor run --require bit-exact -- python train.py --seed {seed}",
    ),
    "cannot-resume": Page(
        2,
        "The audit cannot go on here: its first run was kept apart from the project by other means than this "
        "machine offers, so that a further run would not be a replicate.",
        "Resume where the audit began, or begin a new one.",
        "auditor run -- python train.py --seed {seed}",
    ),
    "cannot-write": Page(
        2,
        "A report cannot be written where it was asked for. This is checked before anything is run.",
        "Name a file in an existing directory that you may write to. A report that was missed can be made again.",
        "auditor report .auditor/<audit-id> --format junit -o audit.xml",
    ),
    "command-not-executable": Page(
        2,
        "The command's first word is a directory, or a file that cannot be executed.",
        "Name an interpreter before a script, or make the file executable and give it a first line (#!).",
        "auditor run -- bash run.sh {seed}",
    ),
    "command-not-found": Page(
        2,
        "The command's first word is neither a program on PATH nor a file. Nothing was run.",
        "Check its spelling, and that the environment it lives in is active. A path is taken from the "
        "directory where auditor was called.",
        "auditor run -- python train.py --seed {seed}",
    ),
    "damaged-evidence": Page(
        2,
        "A file of the evidence directory is missing, cut off, altered, or of another version of the auditor."
        " No verdict is computed from it: missing evidence is never a pass.",
        "Copy the directory from its source again, or audit anew.",
        "auditor run --out fresh-evidence -- python train.py --seed {seed}",
    ),
    "damaged-lock": Page(
        2,
        "A file of the lock cannot be used: it is no TOML, no pylock.toml or environment.toml, of a version that this "
        "auditor does not know, or too large. Nothing is held against a lock that is not understood.",
        "Write the lock anew where the environment is as it should be, or restore it. A lock of a newer auditor needs "
        "a newer auditor.",
        "auditor lock --out lockfiles",
    ),
    "disk-full": Page(
        2,
        "The disk, or your quota on it, is full. What was complete before is kept.",
        "Make room and go on with --resume, or put the evidence on another disk with --out (and TMPDIR).",
        "auditor run --out /big-disk/evidence -- python train.py --seed {seed}",
    ),
    "distributions-not-known": Page(
        2,
        "The interpreter tells of no installed distribution, so there is nothing that a lock could hold.",
        "Name the interpreter that trains: a path, a name on PATH, or the directory of a virtual environment.",
        "auditor lock --python .venv",
    ),
    "docker-engine-elsewhere": Page(
        2,
        "The Docker engine does not see this machine's files, so the project and the evidence cannot be "
        "mounted. It runs on another machine, or in a virtual one.",
        "Call auditor on the machine where the engine runs, or leave --image out.",
        "auditor run --image my-training:latest -- python train.py --seed {seed}",
    ),
    "docker-engine-error": Page(
        2,
        "The Docker engine was reached and refused what it was asked.",
        "Read the engine's own words in the message, and its log.",
        "docker run --rm my-training:latest true && auditor run --image my-training:latest -- python train.py",
    ),
    "docker-engine-unreachable": Page(
        2,
        "--image needs a Docker engine, and none answers.",
        "Start the engine, check that you may use its socket (DOCKER_HOST names another), or leave --image out.",
        "docker info && auditor run --image my-training:latest -- python train.py",
    ),
    "duplicate-seed": Page(
        2,
        "A seed is named twice, or two result files are of the same seed. Counted twice it would make the "
        "spread look smaller than it is.",
        "Name each seed once. Replicates of a seed are asked for with --replicates, and are compared with one another.",
        "auditor run --seeds 11,22,33 --replicates 2 -- python train.py --seed {seed}",
    ),
    "evidence-complete": Page(
        2,
        "This evidence is complete, and evidence is never written over.",
        "See it with auditor report, or begin a new audit.",
        "auditor report .auditor/<audit-id>",
    ),
    "evidence-not-found": Page(
        2,
        "The directory is not an evidence directory: it has no evidence.json.",
        "Name the directory that auditor run wrote: .auditor/<audit-id> in the project, or what --out said.",
        "auditor report .auditor/<audit-id>",
    ),
    "evidence-not-shared": Page(
        2,
        "A machine of the cluster does not see the evidence directory. What runs there leaves its evidence in it.",
        "Put the project and the evidence directory on a file system that every machine of the cluster has "
        "at the same path.",
        "auditor run --seeds 10 --executor slurm --out /shared/studies/one -- python train.py --seed {seed}",
    ),
    "extra-not-installed": Page(
        2,
        "The executor needs a package that is not installed: Ray for ray, submitit for slurm.",
        "Install the auditor with the extra of that name: auditor[ray] or auditor[slurm].",
        "auditor run --seeds 10 --executor ray -- python train.py --seed {seed}",
    ),
    "fail-fast-answers-bit-exact-only": Page(
        2,
        "--fail-fast ends a run at its first divergence. What it would have reported at its end is then "
        "unknown, so no level but bit-exact can be judged.",
        "Leave --fail-fast out, or require bit-exact.",
        "auditor run --fail-fast --require bit-exact -- python train.py --seed {seed}",
    ),
    "fault": Page(
        70,
        "Something went wrong in the auditor itself. This is never your program's doing.",
        "Report it with the traceback, which was written to the file that the message names; --debug shows it"
        " on the screen.",
        "auditor --debug run -- python train.py --seed {seed}",
    ),
    "image-not-found": Page(
        2,
        "The engine has no image of that name, or it could not be pulled. Nothing is pulled without --network.",
        "Build or pull the image first, and check its name.",
        "docker pull my-training:latest && auditor run --image my-training:latest -- python train.py",
    ),
    "index-unreachable": Page(
        2,
        "The files of what is installed are looked up where pip would look for them, and that could not be asked: no "
        "network, no access, or an address that is no index. The message is uv's, which does the asking.",
        "Check the network and pip's configuration (pip config list; PIP_INDEX_URL, PIP_EXTRA_INDEX_URL, "
        "PIP_FIND_LINKS). Where there is no network, a directory of wheels serves as well.",
        "PIP_NO_INDEX=1 PIP_FIND_LINKS=wheels auditor lock",
    ),
    "interpreter-failed": Page(
        2,
        "The file given with --python was started and did not describe itself: it is no Python interpreter, "
        "it fails when it starts, or it did not answer in time.",
        "Run it by hand and see what it says; a broken virtual environment has to be made again.",
        "auditor fingerprint --python .venv",
    ),
    "interpreter-not-found": Page(
        2,
        "What was given with --python is no executable file, no command on PATH, and no virtual environment.",
        "Give a path, a name on PATH, or the directory of a virtual environment.",
        "auditor fingerprint --python python3.12",
    ),
    "interpreter-too-old": Page(
        2,
        "The interpreter given with --python is older than Python 3.8, the oldest that can be described or audited.",
        "Name a newer interpreter, or train with one.",
        "auditor fingerprint --python python3.8",
    ),
    "interrupted": Page(
        3,
        "The audit was interrupted (Ctrl-C, or a request to end). Runs that had ended are kept, audit.json "
        "says state interrupted, and nothing is called reached.",
        "Go on with the same directory: only what is missing is run.",
        "auditor run --resume .auditor/<audit-id>",
    ),
    "isolation-failed": Page(
        2,
        "A run could not be given a view of the project of its own.",
        "Try again with --isolation copy, which needs nothing but space.",
        "auditor run --isolation copy -- python train.py --seed {seed}",
    ),
    "ledger-not-found": Page(
        2,
        "The ledger of claims is not there, is no regular file, or may not be read.",
        "Name the TOML file; patterns in it are taken from the directory that it lies in.",
        "auditor claims paper/claims.toml",
    ),
    "ledger-too-wide": Page(
        2,
        "A pattern of the ledger looks at more names, or matches more files, than any study has.",
        "Name more of the directories in the pattern instead of labels or stars.",
        "auditor claims claims.toml",
    ),
    "level-not-tested": Page(
        2,
        "distribution-stable is about many seeds. Audits are compared with one another on runs that repeat one seed.",
        "Require bit-exact or seed-stable. To hold many seeds to an earlier study, name that with --reference.",
        "auditor run --seeds 10 --reference DIR --require distribution-stable -- python train.py --seed {seed}",
    ),
    "lock-not-found": Page(
        2,
        "The directory holds no lock, or one of its two files is missing: pylock.toml has what is installed, "
        "environment.toml everything else.",
        "Write the lock where the environment is as it should be, or name the directory that holds it with --lock.",
        "auditor lock && auditor verify",
    ),
    "needs-seeds": Page(
        2,
        "The option is for many seeds, and the audit is of one: it has no spread that could be judged.",
        "Say with --seeds how many seeds to run, or which.",
        "auditor run --seeds 5 --require distribution-stable --reference DIR -- python train.py --seed {seed}",
    ),
    "network-needs-image": Page(
        2,
        "--network lets the containers of --image reach the network; a program that runs locally has the "
        "network that the machine has.",
        "Add --image, or leave --network out.",
        "auditor run --image my-training:latest --network -- python train.py",
    ),
    "newer-schema": Page(
        2,
        "A fingerprint or an audit was written by a newer auditor, in a version of its format that this one does not "
        "know. It is not read in part: what is not understood could be what matters.",
        "Upgrade the auditor that reads it.",
        "auditor --version",
    ),
    "no-command": Page(
        2,
        "There is no command to audit.",
        "Put the training command after two dashes, with {seed} where it takes its seed.",
        "auditor run -- python train.py --seed {seed}",
    ),
    "no-matplotlib": Page(
        2,
        "Plots were asked for, and matplotlib, which draws them, is not installed beside the auditor.",
        "Install the extra, or leave --plots out: the other reports need nothing of it.",
        "pip install 'auditor[plots]' && auditor claims claims.toml --plots plots",
    ),
    "no-study": Page(
        2,
        "Plots of seeds were asked for, and the audit ran one seed only: there is nothing to draw.",
        "Run several seeds, and draw those.",
        "auditor run --seeds 5 -- python train.py --seed {seed} && auditor report .auditor/<audit-id> --plots plots",
    ),
    "no-scratch-directory": Page(
        2,
        "There is no writable directory outside the project for the runs' temporary files.",
        "Set TMPDIR to one.",
        "TMPDIR=/big-disk/tmp auditor run -- python train.py --seed {seed}",
    ),
    "no-such-path": Page(
        2,
        "A file or directory that was to be checked is not there.",
        "Check its spelling. Paths are taken from the directory where auditor was called.",
        "auditor check src train.py",
    ),
    "no-such-project": Page(
        2,
        "The directory of the project does not exist.",
        "Call auditor in the project's root.",
        "cd my-project && auditor run -- python train.py --seed {seed}",
    ),
    "not-text": Page(
        2,
        "An argument or a file's name is not UTF-8 text, or holds a null character, and could not be kept as evidence.",
        "Rename the file or directory, or give the argument as UTF-8.",
        "auditor run -- python train.py --data data",
    ),
    "not-a-lock": Page(
        2,
        "A file of the name that the lock would have is there, and another tool or a person wrote it. It is not "
        "replaced.",
        "Write the lock to another directory, or move that file away.",
        "auditor lock --out environment-lock && auditor verify --lock environment-lock",
    ),
    "nothing-to-compare": Page(
        2,
        "It takes two to compare, and fewer were named or found. In a directory, files that end in .json are read, and "
        "directories that hold the evidence of an audit; links are not followed.",
        "Name two or more fingerprints or audits, or a directory that holds them.",
        "auditor fingerprint -o here.json && auditor compare here.json there.json",
    ),
    "nothing-to-resume": Page(
        2,
        "The audit in this directory is complete: there is nothing to go on with.",
        "See it again with auditor report, or begin a new audit.",
        "auditor report .auditor/<audit-id>",
    ),
    "other-environment": Page(
        2,
        "An audit was to be locked, and it did not run in the interpreter whose files would be looked up: the versions "
        "of Python or of what is installed differ.",
        "Name the interpreter that it ran in with --python. If that has changed since, audit anew.",
        "auditor lock .auditor/<audit-id> --python .venv",
    ),
    "out-holds-project": Page(
        2,
        "The directory after --out is the project itself or holds it; evidence and project would mix.",
        "Name a directory of its own.",
        "auditor run --out evidence -- python train.py --seed {seed}",
    ),
    "out-not-empty": Page(
        2,
        "What --out names is a file, or a directory with something in it. Evidence is never written over.",
        "Name a new directory, or go on with an interrupted audit in it.",
        "auditor run --resume evidence",
    ),
    "output-lost": Page(
        2,
        "What the container wrote on its output could not be kept as evidence, so the run does not count.",
        "Go on with the same directory; the run is repeated.",
        "auditor run --resume .auditor/<audit-id>",
    ),
    "overlay-refused": Page(
        2,
        "--isolation overlay was asked for, and the kernel or the file system does not allow it here.",
        "Leave --isolation out: each run then works in a copy of the project where no overlay is possible, "
        "and the report says so.",
        "auditor run -- python train.py --seed {seed}",
    ),
    "program-failed": Page(
        4,
        "The audited program itself ended with an error. Its last lines are shown; no level is judged.",
        "Make the program end with exit code 0 by itself, in the same directory and environment. Its whole "
        "output is in runs/<n>/stdout and stderr of the evidence directory. Each run starts from the files "
        "that the project had; what another run wrote is not there.",
        "auditor run -- python train.py --seed {seed}",
    ),
    "program-timed-out": Page(
        4,
        "A run took longer than --timeout allows and was ended, with everything it had started.",
        "Give it more time, or find what it waits for: a prompt, a network, another rank. --steps ends a run "
        "early on purpose.",
        "auditor run --timeout 7200 --steps 200 -- python train.py --seed {seed}",
    ),
    "project-too-wide": Page(
        2,
        "auditor was called in the root of the file system, which cannot be a project.",
        "Call it in the directory that holds the training program.",
        "cd my-project && auditor run -- python train.py --seed {seed}",
    ),
    "ray-not-reached": Page(
        2,
        "Ray could not be started on this machine, or the cluster does not answer at the address given.",
        "See whether ray status answers there. The address is that of the cluster's head, such as "
        "host:6379, or auto for the one that this machine belongs to. Leave it out to have Ray started "
        "here.",
        "auditor run --seeds 10 --executor ray --ray-address auto -- python train.py --seed {seed}",
    ),
    "resume-takes-nothing-else": Page(
        2,
        "--resume goes on with exactly what was asked for when the audit began; other runs would not be replicates.",
        "Leave the other options out (reports and --quiet may be given), or begin a new audit.",
        "auditor run --resume .auditor/<audit-id> --junit audit.xml",
    ),
    "seed-goes-nowhere": Page(
        2,
        "A --seed was given, but nothing hands it to the program.",
        "Write {seed} where the command takes its seed, or name the environment variable that the program reads.",
        "auditor run --seed 7 -- python train.py --seed {seed}",
    ),
    "seeds-not-fresh": Page(
        2,
        "Some of the seeds were run for the reference too. Their results are the same ones: they would "
        "agree whatever the truth is.",
        "Name other seeds, or say only how many; those that the reference has are then left out.",
        "auditor run --seeds 10 --reference DIR -- python train.py --seed {seed}",
    ),
    "slurm-not-reached": Page(
        2,
        "Slurm's commands are not there, do not answer, or did not take the job.",
        "See whether sinfo and sbatch work in the same shell. What a job needs (partition, account) is "
        "given with --slurm KEY=VALUE.",
        "auditor run --seeds 10 --executor slurm --slurm partition=gpu -- python train.py --seed {seed}",
    ),
    "too-few-resources": Page(
        2,
        "A single run is to have more cores, memory or GPUs than there are.",
        "Ask for less with --cpus, --memory or --gpus, or run where there is more.",
        "auditor run --seeds 5 --cpus 2 -- python train.py --seed {seed}",
    ),
    "unknown-executor": Page(
        2,
        "The place named after --executor does not exist.",
        "Choose local, docker (with --image), ray or slurm.",
        "auditor run --seeds 5 --executor ray -- python train.py --seed {seed}",
    ),
    "unknown-factor": Page(
        2,
        "--keep names a factor that the auditor does not vary.",
        "It varies hash-seed (PYTHONHASHSEED), tmpdir (the temporary directory) and directory-order (the "
        "order of unsorted listings).",
        "auditor run --keep directory-order -- python train.py --seed {seed}",
    ),
    "unknown-format": Page(
        2,
        "There is no such report format.",
        "Choose terminal, json, junit or markdown; fingerprints and comparisons have no junit.",
        "auditor report .auditor/<audit-id> --format markdown",
    ),
    "unknown-framework": Page(
        2,
        "There is no recipe for what is named after --framework.",
        "Take the one for torch, which does without torch where that is not installed, or the shorter one for numpy.",
        "auditor recipe --framework numpy -o seeding.py",
    ),
    "unknown-isolation": Page(
        2,
        "There is no such means of keeping runs apart.",
        "Choose overlay (the kernel's overlay file system), copy (a copy of the project), or auto, which "
        "takes the first that works.",
        "auditor run --isolation copy -- python train.py --seed {seed}",
    ),
    "unknown-level": Page(
        2,
        "There is no such level.",
        "Choose bit-exact or seed-stable.",
        "auditor run --require seed-stable -- python train.py --seed {seed}",
    ),
    "unknown-rule": Page(
        2,
        "A rule that is selected, ignored or allowed is none of the rulebook, nor of what else is installed.",
        "Check its spelling; auditor explain lists the rules. One that a distribution brings is there only where that "
        "is installed.",
        "auditor check --select unsorted-listing,cudnn-benchmark",
    ),
    "unknown-slug": Page(
        2,
        "There is no error of that name.",
        "Give the word that stands in parentheses below an error.",
        "auditor explain no-command",
    ),
    "unreadable-input": Page(
        2,
        "What was to be compared is not there, is no fingerprint and no audit, or is damaged: cut off, of another "
        "shape, with a key twice. All that cannot be used is named, and nothing is concluded from the rest.",
        "Give files that auditor fingerprint or auditor run wrote: copy them again from their source, or make new "
        "ones.",
        "auditor fingerprint -o machine.json",
    ),
    "unwritable-directory": Page(
        2,
        "The evidence directory, or the project's .auditor directory, cannot be written.",
        "Make it writable for this user, or put the evidence elsewhere with --out.",
        "auditor run --out ~/evidence -- python train.py --seed {seed}",
    ),
    "worker-lost": Page(
        2,
        "What executed a run has gone several times in a row, without a word of the program. Most often the "
        "system ended it for want of memory.",
        "Give each run more memory with --memory, or run fewer at a time with --jobs. The runs that ended "
        "are kept; --resume goes on with the rest.",
        "auditor run --resume .auditor/<audit-id>",
    ),
}


def page(slug: str) -> str:
    """The page of an error as Markdown; raises KeyError for an unknown slug."""
    entry = PAGES[slug]
    return (
        f"# {slug}\n\n{_wrapped(entry.meaning)}\n\n**What to do.** {_wrapped(entry.remedy, first=16)}\n\n"
        f"```\n{entry.example}\n```\n\nExit code {entry.exit_code}.\n"
    )


def index() -> str:
    """The list of all pages as Markdown."""
    rows = "\n".join(f"| [{slug}]({slug}.md) | {entry.exit_code} |" for slug, entry in sorted(PAGES.items()))
    return (
        "# Errors\n\nGenerated from `auditor/cli/catalogue.py`; `auditor explain SLUG` prints a page.\n\n"
        f"| error | exit code |\n|---|---:|\n{rows}\n"
    )


def _wrapped(text: str, first: int = 0) -> str:
    from textwrap import fill

    return fill(" " * first + text, width=80, break_long_words=False, break_on_hyphens=False).strip()
