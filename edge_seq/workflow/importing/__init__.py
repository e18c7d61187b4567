"""Import of a network into a run folder, and the record that it leaves there."""
