"""Fitting a network: the loop and the schedule."""
