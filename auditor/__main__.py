"""``python -m auditor``."""

import sys

from auditor.cli import main

# Processes that are spawned for `auditor check` import this again.
if __name__ == "__main__":
    sys.exit(main())
