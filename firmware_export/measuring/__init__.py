"""Flash, RAM, stack and instructions."""
