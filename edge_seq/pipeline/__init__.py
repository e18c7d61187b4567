"""From a configuration to data, windows and scores, without a run folder."""
