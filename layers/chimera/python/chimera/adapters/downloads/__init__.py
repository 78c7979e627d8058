"""Fetches media files from direct addresses; platforms' pages are not taken apart."""
