"""A module that a caller and an agent both have."""


class KennelFull(Exception):
    """No place for another dog."""
