"""Steps of a release of a run: its signature, and its folder of evidence."""
