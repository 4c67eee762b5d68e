"""Other servers that the bench measures beside the kernel, and where they are had from."""
