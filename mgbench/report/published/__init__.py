"""Published results: FID against network forwards as printed in papers, with caveats."""
