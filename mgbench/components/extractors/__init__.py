"""Feature extractors: small networks bundled with mgbench, and pretrained ones."""
