"""One paper, one file: the methods of the field as plugins."""
