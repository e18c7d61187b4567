"""The model in the middle: typed, frozen, numpy only."""
