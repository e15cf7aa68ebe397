"""The log: what may be written, and how it is kept. Knows nothing of tables."""
