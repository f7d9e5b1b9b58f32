"""Tokenizers: patches, autoencoders trained here, and pretrained ones."""
