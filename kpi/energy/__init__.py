"""Energy to money and to performance: the bill, the baseline and what was saved against it. Pure."""
