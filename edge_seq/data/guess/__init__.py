"""Guess a data source for recordings without one. All assumptions are listed, so that a user can correct them."""

from edge_seq.data.guess.guess import Guess, guess_source

__all__ = ["Guess", "guess_source"]
