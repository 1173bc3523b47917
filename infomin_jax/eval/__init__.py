"""Evaluation: what did an encoder learn? Frozen features and probes of them."""
