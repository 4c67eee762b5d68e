"""From rules about paths and commands, and an interpreter, to the mounts of one sandbox."""
