"""Picture and sound: timeline, captions, type, audio, encoding, measurement. No provider and no database in here."""
