"""Options that commands share, their completion, and parsers of their values."""
