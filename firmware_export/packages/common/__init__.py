"""What packages share: the exported C by its parts, texts with the model's names, the README, the registry."""
