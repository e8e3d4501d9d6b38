"""Real and synthetic data sets as a network takes them: reading, preprocessing, and back."""
