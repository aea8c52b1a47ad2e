"""Samples and statements to a timeline: what each moment of a unit was used for, and its stops. Pure."""
