"""A timeline and counters to facts: the additive record of each minute, and its roll-up to hours and shifts. Pure."""
