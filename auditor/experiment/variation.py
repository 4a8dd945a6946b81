"""What differs between replicates on purpose, because the user does not control it."""

from __future__ import annotations

from collections.abc import Mapping

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
