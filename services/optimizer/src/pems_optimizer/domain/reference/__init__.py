"""The reference model in PuLP: the rules of docs/planning-problem.md, one file per rule group."""
