"""Metrics and the baselines that stand beside every model."""
