"""The steps from a configuration to data, models, exports and scores, without a run folder."""
