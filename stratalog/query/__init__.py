"""Questions to the projections. Writes nothing."""
