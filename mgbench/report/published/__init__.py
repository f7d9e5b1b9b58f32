"""Published numbers: FID against network forwards as the papers print them, with the traps that go with them."""
