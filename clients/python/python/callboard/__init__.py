"""Callboard: message-broker RPC."""
