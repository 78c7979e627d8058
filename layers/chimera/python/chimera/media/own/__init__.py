"""Pictures, footage and recordings that people bring: told what they are, made safe, made to fit a frame."""
