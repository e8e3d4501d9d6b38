"""From a random key to an image and its label."""
