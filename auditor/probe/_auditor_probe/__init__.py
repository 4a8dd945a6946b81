"""The probe: watches an audited process from inside, with the standard library alone, and changes nothing in it."""
