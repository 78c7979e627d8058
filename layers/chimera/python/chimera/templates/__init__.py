"""Templates: versioned packs that turn a brief into a storyboard; the engine, the registry and the built-in packs."""
