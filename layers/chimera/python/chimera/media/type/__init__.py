"""Draws each kind of layer (media/layers.py) as ASS; `media/typeset` puts them together."""
