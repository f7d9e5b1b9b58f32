"""Methods as plugins, one file per paper."""
