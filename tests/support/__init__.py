"""What tests of several folders share. It is on the tests' path (pyproject.toml): `from support.x import y`."""
