"""Pure statistics: what the counts of runs prove."""
