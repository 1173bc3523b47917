"""Evaluation of encoders: frozen features, and probes of these features."""
