"""Scores of a head that learns, on windows of groups that the model has not seen."""
