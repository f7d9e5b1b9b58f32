"""Tokenizers: patches, trained autoencoders, and pretrained ones."""
