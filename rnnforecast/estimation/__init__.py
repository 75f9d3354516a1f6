"""Fitting a network to a panel: its windows, its start, and how far it goes back to it."""
