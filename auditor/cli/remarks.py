"""What a report says beside the rules: remarks on the evidence and on the environment, each with what it means."""

from __future__ import annotations

from typing import NamedTuple


class Remark(NamedTuple):
    """What a remark means, and what to do where it is unwanted."""

    meaning: str
    remedy: str


REMARKS: dict[str, Remark] = {
    "dataloader-workers": Remark(
        "A torch DataLoader loads with worker processes. This says how many, by which sampler, and whether it has a "
        "generator and a worker_init_fn of its own, which decide how its workers are seeded. It is no flaw by itself.",
        "Give it a generator and a worker_init_fn, as auditor recipe shows, where workers draw random numbers.",
    ),
    "duplicate-blas-runtimes": Remark(
        "Several BLAS libraries are in one process. Packages often bring their own, and each chooses its kernels and "
        "its threads by itself, so that what fixes one does not fix the others.",
        "Set the threads of all of them in the environment (OMP_NUM_THREADS, OPENBLAS_NUM_THREADS, MKL_NUM_THREADS).",
    ),
    "duplicate-openmp-runtimes": Remark(
        "Several OpenMP runtimes are in one process. Each has threads of its own; runtimes of different makers in one "
        "process can crash it or change its results.",
        "Install the packages from one source (all by pip, or all by conda), and set OMP_NUM_THREADS, which all of "
        "them read.",
    ),
    "probe-fault": Remark(
        "The probe failed inside of the audited program. The program was not harmed, but evidence may be missing after "
        "it, and what was not seen is never a pass.",
        "Report it with the message. The verdict of the other levels still rests on what was seen.",
    ),
    "racing-operation": Remark(
        "An operation, or a line, gave different results from the same inputs, whatever a trial fixed: threads that "
        "race inside of it, memory that it reads and nobody wrote, or a clock of its own. This is a cause that a "
        "diagnosis finds by looking at the operation itself; reading source does not show it.",
        "Mend the operation, or use another one; a library's is worth a report to its makers.",
    ),
    "shadowed-library": Remark(
        "Another release of a library was loaded than the one that is installed as a package: a copy on "
        "LD_LIBRARY_PATH, for one, was found first. What is installed then does not say what computed.",
        "Unset LD_LIBRARY_PATH for the program, or install the release that is meant to be used.",
    ),
    "unwatched-child": Remark(
        "The program started a Python process that the probe could not enter: isolated (-I, -E), or with an "
        "environment of its own. What it did is not in the evidence, which rules out a pass.",
        "Start it without -I and -E, and hand PYTHONPATH and the variables that begin with _AUDITOR on to it.",
    ),
}


def page(name: str) -> str:
    """The page of a remark as Markdown; raises KeyError for an unknown name."""
    from textwrap import fill

    remark = REMARKS[name]
    meaning = fill(remark.meaning, width=80, break_long_words=False, break_on_hyphens=False)
    remedy = fill(f"**What to do.** {remark.remedy}", width=80, break_long_words=False, break_on_hyphens=False)
    return f"# {name}\n\n{meaning}\n\n{remedy}\n"
