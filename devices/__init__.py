"""What a device is: registers, the codec of their values, and templates as data. Stands under *registers -> samples*.

Agent and simulators both build on it, so nothing here does IO beyond reading template files.
"""
