"""Training: losses, schedules, the log of a run."""
