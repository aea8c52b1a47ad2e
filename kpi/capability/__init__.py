"""Measured values to capability indices and control charts. Pure."""
