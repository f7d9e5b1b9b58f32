"""Work on data: tokenize, train, sample, evaluate. Stages know kinds, never components or plugins."""
