"""From a network to label files, and from label files to scores."""
