"""The store: one face over the log, the projections and the questions."""
