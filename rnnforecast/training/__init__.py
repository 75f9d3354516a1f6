"""Fitting a network: the loop, the losses, the schedule."""
