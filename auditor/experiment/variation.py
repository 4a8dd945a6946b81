"""What differs between replicates on purpose, because the user does not control it; and what a trial fixes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from auditor.records.diagnosis import Trial

_FIRST_HASH_SEED = 1000


def vary(
    number: int, environment: Mapping[str, str], keep: tuple[str, ...], temporary: str, replicate: int | None = None
) -> tuple[dict[str, str], dict[str, str]]:
    """The variables to set in run ``number``, and the record of what varies.

    ``environment`` is what the run would otherwise see, ``temporary`` a fresh directory of its own; ``replicate``
    counts the runs of its seed from 1 (None: ``number`` does). A hash seed that the user set is left alone; one that is
    to be kept is the same in every run, since unset it would be random.
    """
    variables: dict[str, str] = {}
    varied: dict[str, str] = {}
    own = environment.get("PYTHONHASHSEED", "")
    if own not in ("", "random"):
        varied["PYTHONHASHSEED"] = f"{own} (set by the user, kept)"
    else:
        kept = "hash-seed" in keep
        seed = str(_FIRST_HASH_SEED + (1 if kept else number))
        variables["PYTHONHASHSEED"] = seed
        varied["PYTHONHASHSEED"] = f"{seed} (kept)" if kept else seed
    if "tmpdir" in keep:
        varied["TMPDIR"] = f"{environment.get('TMPDIR') or '/tmp'} (kept)"
    else:
        variables["TMPDIR"] = temporary
        varied["TMPDIR"] = temporary
    if varies_order(number if replicate is None else replicate, keep):
        varied["directory-order"] = "varied by the probe"
    else:
        kept_order = " (kept)" if "directory-order" in keep else ""
        varied["directory-order"] = f"as the file system gives it{kept_order}"
    return variables, varied


def varies_order(number: int, keep: tuple[str, ...]) -> bool:
    """Whether the probe gives directory listings in another order in run ``number``: in every run but the first."""
    return number > 1 and "directory-order" not in keep


def variables_of(trial: Trial) -> dict[str, str]:
    """The variables of the environment that a trial's factors set."""
    found: dict[str, str] = {}
    if "one-thread" in trial.factors:
        found |= dict.fromkeys(
            ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
        )
    if "deterministic-algorithms" in trial.factors:
        found["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    return found


def kept_by(trial: Trial) -> tuple[str, ...]:
    """The perturbations that a trial's factors forbid."""
    kept = []
    if "fix-hash-seed" in trial.factors or "fix-addresses" in trial.factors:
        kept.append("hash-seed")
    if "fix-addresses" in trial.factors:
        kept.append("tmpdir")
    if "sort-listings" in trial.factors:
        kept.append("directory-order")
    return tuple(kept)


def told(trial: Trial) -> dict[str, Any]:
    """What the probe of a trial is told on top of what it is told in every run."""
    found: dict[str, Any] = {"interventions": dict.fromkeys(trial.factors, True)} if trial.factors else {}
    if trial.pins:
        found["pins"] = [list(pin) for pin in trial.pins]
    if trial.began:
        found["began"] = [list(one) for one in trial.began]
    if trial.draws:
        found["draws"] = True
    if trial.capture is not None:
        found["capture"] = {"first": trial.capture.first, "last": trial.capture.last}
    return found


def purpose_of(trial: Trial) -> str:
    """What a trial is for, in a few words."""
    if trial.capture is not None:
        return "what differs first"
    return " ".join(trial.factors) or "as it is"
