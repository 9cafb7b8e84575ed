"""Signing and verifying credentials: `eddsa-rdfc-2022`, keys, detached JWS. The only room that knows cryptography."""
