"""Voices: providers that speak a text and say when each word is said."""
