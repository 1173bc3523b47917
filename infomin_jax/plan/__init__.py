"""Plans: whether a run fits accelerators that this machine does not have."""
