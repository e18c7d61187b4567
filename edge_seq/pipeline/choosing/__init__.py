"""What a comparison and a search share: the test part put aside, and the cost of untrained networks."""
