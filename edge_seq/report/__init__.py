"""edge-seq report: a run or a comparison as one HTML page, as JSON and as a short table."""
