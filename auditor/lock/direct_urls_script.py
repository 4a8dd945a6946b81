"""Runs in any interpreter from 3.8 on, imports nothing but the standard library, and prints direct_url.json files."""

from __future__ import annotations

import os
import sys

# This file's own directory comes first on the path; it is no part of what is described.
_HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != _HERE]

import json  # noqa: E402  only now is the path the user's own


def direct_urls() -> dict[str, str]:
    """The text of ``direct_url.json`` by the distribution's name; of two of one name, the first on the path counts."""
    found = {}  # type: dict[str, str]
    seen = set()
    for entry in sys.path:
        try:
            names = sorted(os.listdir(entry or os.curdir))
        except OSError:
            continue
        for name in names:
            stem, _, suffix = name.rpartition(".")
            distribution = stem.split("-")[0].lower().replace("_", "-").encode("utf-8", "backslashreplace").decode()
            if suffix not in ("dist-info", "egg-info") or "-" not in stem or distribution in seen:
                continue
            seen.add(distribution)
            try:
                with open(os.path.join(entry or os.curdir, name, "direct_url.json"), encoding="utf-8") as file:
                    found[distribution] = file.read(1 << 16)
            except (OSError, UnicodeDecodeError):
                continue
    return found


if __name__ == "__main__":
    sys.stdout.write("\n" + sys.argv[1] + json.dumps(direct_urls(), sort_keys=True) + "\n")
