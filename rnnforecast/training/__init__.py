"""Fitting a network: the loop and its parts."""
