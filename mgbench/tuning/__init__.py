"""Search the sampling of a trained model for the best score at a number of network forwards."""
