"""Claims held to what was run: the ledger, the results that it names, and a judgement for each claim."""
