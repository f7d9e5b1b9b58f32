"""Networks, and the transformer blocks that they share."""
