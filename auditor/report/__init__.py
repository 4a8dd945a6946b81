"""One format per file: ``render(audit)`` gives text and computes nothing that the audit does not say."""
