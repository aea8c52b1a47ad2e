"""*messages -> points -> facts*: what the agents send reaches the historian, and only then is it confirmed."""
