"""Whether a run fits accelerators that are not here: compiled for them."""
