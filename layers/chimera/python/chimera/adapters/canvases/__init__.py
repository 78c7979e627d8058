"""Canvases: providers that paint the picture of a scene."""
