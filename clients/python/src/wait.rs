//! Blocks a Python thread until a future is ready, and lets signals interrupt it.
