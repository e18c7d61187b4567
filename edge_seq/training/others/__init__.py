"""Other classifiers: baselines beside the recurrent networks, and teachers of them."""
