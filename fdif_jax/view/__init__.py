"""Pages that show data sets, predictions and runs in a browser, without a network."""
