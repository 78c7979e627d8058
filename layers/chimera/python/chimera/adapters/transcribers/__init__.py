"""Transcribers: providers that turn speech into text with times."""
