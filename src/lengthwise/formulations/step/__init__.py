"""The step law's physics: what one engine step does, and how long each part of it takes."""
