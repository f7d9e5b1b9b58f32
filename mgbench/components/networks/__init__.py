"""Networks and their transformer blocks."""
