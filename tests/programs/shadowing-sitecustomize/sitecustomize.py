"""Project-wide settings."""

import builtins

builtins.project_precision = "float64"
