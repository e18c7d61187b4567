"""What is in a data set, and what would spoil a training: facts of each recording, then checks over all of them."""
